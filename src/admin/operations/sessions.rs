//! Making, showing and ending sessions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::grants::{Granted, Grants, optional, public_id};
use super::{OperationError, Operations};
use crate::admin::views::{CreatedSession, RevocationView, SessionView};
use crate::crypto::session_secret;
use crate::model::settings::{SessionLayout, SessionSettings};
use crate::model::{Principal, Revocation, Secret, SessionRecord, Timestamp};

/// A session to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// Whose, and what it may do.
    #[serde(flatten)]
    pub grants: Grants,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Display name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A session that was ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EndedSession {
    /// One of ours: as it was.
    Own(SessionView),
    /// One that the application keeps: what the log says of it.
    OfApplication(RevocationView),
}

impl Operations {
    /// Makes a session, as if its principal had just logged in.
    pub async fn create_session(&self, new: NewSession) -> Result<CreatedSession, OperationError> {
        if let SessionLayout::Foreign(foreign) = &self.session.layout {
            let layout = foreign.format.name();
            let problem = format!("`session.layout` is `{layout}`: only the application makes sessions");
            return Err(OperationError::Invalid(problem));
        }
        let now = self.clock.now();
        let mut attributes = Map::new();
        for (name, value) in [("email", new.email), ("name", new.name)] {
            if let Some(value) = optional(name, value)? {
                attributes.insert(name.to_owned(), Value::String(value.to_string()));
            }
        }
        let Granted { principal, roles, scopes, groups, tenant } = new.grants.checked()?;
        let id = session_secret::public_id(&*self.entropy);
        let SessionSettings { idle_timeout, absolute_timeout, .. } = self.session;
        let record = SessionRecord {
            roles,
            groups,
            scopes,
            tenant,
            attributes,
            ..SessionRecord::new(&id, principal, now, idle_timeout, absolute_timeout)
        };
        let (secret, secret_sha256) = session_secret::mint(&*self.entropy);
        self.store.sessions.create(&secret_sha256, &record).await?;
        tracing::info!(session = &*record.id, principal = %record.principal, "session created");
        let cookie = Secret::new(format!("{}={}", self.session.cookie, secret.expose()));
        Ok(CreatedSession { cookie, session: record.into() })
    }

    /// All live sessions, or those of one principal, oldest first.
    pub async fn list_sessions(&self, of: Option<&Principal>) -> Result<Vec<SessionView>, OperationError> {
        let records = self.store.sessions.list(of, self.clock.now()).await?;
        Ok(records.into_iter().map(SessionView::from).collect())
    }

    /// Ends a session everywhere. One that the application keeps has no record here that could be shown or removed: it
    /// is refused for ever, whatever the application still has of it.
    pub async fn revoke_session(&self, id: &str) -> Result<EndedSession, OperationError> {
        if self.application().is_some() {
            // What the cookie holds is the application's secret and would revoke nothing.
            if !session_secret::is_application_id(id) {
                let problem =
                    "the public id of an application's session begins with `app`: the log and identity headers have it";
                return Err(OperationError::Invalid(problem.to_owned()));
            }
            let what = Revocation::Session { id: id.into() };
            return Ok(EndedSession::OfApplication(self.enter(what, Timestamp::NEVER).await?));
        }
        let record = self.store.revoke_session(public_id(id)?, self.clock.now()).await?;
        let record = record.ok_or_else(|| OperationError::NotFound { what: "session", id: id.to_owned() })?;
        tracing::info!(session = id, principal = %record.principal, "session revoked");
        Ok(EndedSession::Own(record.into()))
    }
}
