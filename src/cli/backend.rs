//! Where operations happen: in a shared store directly, or through the instance that holds an embedded one.

use std::path::PathBuf;
use std::sync::Arc;

use super::admin_client::AdminClient;
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::values;
use crate::admin::operations::public_id;
use crate::admin::views::{CreatedKey, CreatedSession, KeyView, Revocations, Revoked, SessionView};
use crate::admin::{EndedSession, NewKey, NewSession, OperationError, Operations, Revoke};
use crate::model::observer::Unobserved;
use crate::model::settings::StoreKind;
use crate::model::{Principal, SystemClock, SystemEntropy};
use crate::store::Store;

/// Which instance, or which store.
#[derive(Debug, clap::Args)]
pub(super) struct BackendArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The admin socket of a running instance; the configuration is not read then
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    admin: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Where operations happen.
pub(super) enum Backend {
    /// In the store.
    Store(Box<Operations>),
    /// In a running instance.
    Instance(AdminClient),
}

impl BackendArgs {
    /// Finds it. Needs a runtime.
    pub(super) fn open(&self) -> Result<Backend, Failure> {
        if let Some(socket) = &self.admin {
            return Ok(Backend::Instance(AdminClient { socket: socket.clone() }));
        }
        let settings = self.config.load()?.settings;
        match (&settings.store.kind, &settings.admin.socket) {
            (StoreKind::Redis(_), _) => {
                let clock = Arc::new(SystemClock);
                let store = Store::open(&settings.store, clock.clone(), Arc::new(Unobserved))
                    .map_err(|problem| Failure::usage(format!("store: {problem}")))?;
                Ok(Backend::Store(Box::new(Operations::new(&settings, store, clock, Arc::new(SystemEntropy)))))
            }
            (StoreKind::Memory { .. }, Some(socket)) => Ok(Backend::Instance(AdminClient { socket: socket.clone() })),
            (StoreKind::Memory { .. }, None) => Err(Failure::usage(
                "the store is embedded in the running instance, and no admin socket is configured to reach it: \
                 set `admin.socket`, or `store.url` to a Redis that is shared",
            )),
        }
    }
}

impl Backend {
    /// Makes an API key.
    pub(super) async fn create_key(&self, new: NewKey) -> Result<CreatedKey, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.create_key(new).await?),
            Self::Instance(admin) => admin.post("/v1/keys", &new).await,
        }
    }

    /// All API keys, or those of one principal, oldest first.
    pub(super) async fn list_keys(&self, of: Option<&Principal>) -> Result<Vec<KeyView>, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.list_keys(of).await?),
            Self::Instance(admin) => admin.get(&format!("/v1/keys{}", query(of))).await,
        }
    }

    /// One API key.
    pub(super) async fn show_key(&self, id: &str) -> Result<KeyView, Failure> {
        let id = public_id(id)?;
        match self {
            Self::Store(operations) => Ok(operations.show_key(id).await?),
            Self::Instance(admin) => admin.get(&format!("/v1/keys/{id}")).await,
        }
    }

    /// Revokes an API key everywhere.
    pub(super) async fn revoke_key(&self, id: &str) -> Result<KeyView, Failure> {
        let id = public_id(id)?;
        match self {
            Self::Store(operations) => Ok(operations.revoke_key(id).await?),
            Self::Instance(admin) => admin.delete(&format!("/v1/keys/{id}")).await,
        }
    }

    /// Makes a session.
    pub(super) async fn create_session(&self, new: NewSession) -> Result<CreatedSession, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.create_session(new).await?),
            Self::Instance(admin) => admin.post("/v1/sessions", &new).await,
        }
    }

    /// All live sessions, or those of one principal, oldest first.
    pub(super) async fn list_sessions(&self, of: Option<&Principal>) -> Result<Vec<SessionView>, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.list_sessions(of).await?),
            Self::Instance(admin) => admin.get(&format!("/v1/sessions{}", query(of))).await,
        }
    }

    /// Revokes anything everywhere.
    pub(super) async fn revoke(&self, what: Revoke) -> Result<Revoked, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.revoke(what).await?),
            Self::Instance(admin) => admin.post("/v1/revocations", &what).await,
        }
    }

    /// What is revoked now.
    pub(super) async fn list_revocations(&self, kind: Option<&str>, limit: usize) -> Result<Revocations, Failure> {
        match self {
            Self::Store(operations) => Ok(operations.list_revocations(kind, limit).await?),
            Self::Instance(admin) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("limit", &limit.to_string());
                kind.map(|kind| query.append_pair("kind", kind));
                admin.get(&format!("/v1/revocations?{}", query.finish())).await
            }
        }
    }

    /// Ends a session everywhere.
    pub(super) async fn revoke_session(&self, id: &str) -> Result<EndedSession, Failure> {
        let id = public_id(id)?;
        match self {
            Self::Store(operations) => Ok(operations.revoke_session(id).await?),
            Self::Instance(admin) => admin.delete(&format!("/v1/sessions/{id}")).await,
        }
    }
}

impl From<OperationError> for Failure {
    fn from(problem: OperationError) -> Self {
        match problem {
            OperationError::Invalid(_) => Self::usage(problem.to_string()),
            _ => Self::failed(problem.to_string()),
        }
    }
}

fn query(of: Option<&Principal>) -> String {
    of.map_or_else(String::new, |principal| {
        let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
        query.append_pair("issuer", &principal.issuer).append_pair("subject", &principal.subject);
        query.finish()
    })
}
