//! What Portcullis itself shows upstreams: a key, a token from a file, a token from an authorization server.
//!
//! One [`Credentials`] for the whole process. The thread beside the workers keeps them fresh; a request only reads, and
//! waits where there is nothing to read yet.

mod file;
mod header;
mod keep;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(super) use self::header::strip;
use self::header::value;
use self::state::{Held, State};
use super::UpstreamError;
use crate::crypto::client_credentials::TokenEndpoint;
use crate::crypto::digest::sha256;
use crate::model::denial::Reason;
use crate::model::settings::{
    CertificateFiles, CredentialSettings, CredentialSource, TokenClientAuth, UpstreamSettings,
};
use crate::model::{Clock, Denial, Entropy};
use crate::telemetry::CredentialCounts;

/// Of all upstreams that are shown one. Clones share it.
#[derive(Clone, Default)]
pub struct Credentials {
    by_name: Arc<BTreeMap<Arc<str>, Arc<Credential>>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Credentials {
    /// Reads certificates and token files. A token file that cannot be used is no problem yet: requests are refused until
    /// it can.
    pub fn new(
        settings: &[Arc<UpstreamSettings>],
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, UpstreamError> {
        Self::default().renewed(settings, clock, entropy)
    }

    /// For other settings. One that is made of the same goes on as it is, with its token.
    pub fn renewed(
        &self,
        settings: &[Arc<UpstreamSettings>],
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, UpstreamError> {
        let mut by_name = BTreeMap::new();
        for upstream in settings {
            let Some(settings) = &upstream.credential else { continue };
            let made_of = MadeOf::new(settings, upstream.tls.certificate.as_ref());
            let credential = match self.by_name.get(&upstream.name).filter(|known| known.made_of == made_of) {
                Some(known) => known.clone(),
                None => {
                    let made = Credential::new(&upstream.name, made_of, clock.clone(), entropy.clone());
                    let broken = |problem| UpstreamError {
                        upstream: upstream.name.clone(),
                        problem: format!("credential: {problem}"),
                    };
                    Arc::new(made.map_err(broken)?)
                }
            };
            by_name.insert(upstream.name.clone(), credential);
        }
        Ok(Self { by_name: Arc::new(by_name) })
    }

    /// Keeps them fresh until dropped; they do so independently of each other.
    ///
    /// To be called within a `LocalSet`.
    pub async fn run(&self) {
        let mut all = JoinSet::new();
        for credential in self.by_name.values().filter(|credential| credential.ages()) {
            let credential = credential.clone();
            all.spawn_local(async move { credential.keep().await });
        }
        while all.join_next().await.is_some() {}
        std::future::pending().await
    }

    /// Tries once to have those that were never had.
    pub async fn fetch_missing(&self) {
        let missing = self.by_name.values().filter(|credential| credential.ages() && credential.state.load().is_new());
        futures_util::future::join_all(missing.map(|credential| credential.renew())).await;
    }

    /// What metrics tell of that of one upstream.
    pub(super) fn counts(&self, upstream: &str) -> Option<CredentialCounts> {
        let credential = self.by_name.get(upstream)?;
        let now = credential.clock.elapsed();
        Some(CredentialCounts {
            available: credential.state.load().usable(now).is_some(),
            renewed: credential.renewed.load(Relaxed),
            failed: credential.failed.load(Relaxed),
        })
    }

    pub(super) fn of(&self, upstream: &str) -> Option<Arc<Credential>> {
        self.by_name.get(upstream).cloned()
    }
}

/// What one is made of; another one is made where any of it differs.
#[derive(PartialEq, Eq)]
struct MadeOf {
    settings: CredentialSettings,
    /// Who we are to the token endpoint, where it knows us by that.
    certificate: Option<CertificateFiles>,
    /// Of what stands in the files that count.
    files: [u8; 32],
}

impl MadeOf {
    fn new(settings: &CredentialSettings, certificate: Option<&CertificateFiles>) -> Self {
        let CredentialSource::ClientCredentials(endpoint) = &settings.source else {
            return Self { settings: settings.clone(), certificate: None, files: [0; 32] };
        };
        let certificate = certificate.filter(|_| endpoint.client_auth == TokenClientAuth::Mtls).cloned();
        let own = certificate.iter().flat_map(|files| [&files.chain, &files.key]);
        let files = endpoint.ca.iter().chain(own);
        let digest = |file| std::fs::read(file).map_or([0; 32], |content| sha256(&zeroize::Zeroizing::new(content)));
        let files = sha256(files.map(digest).collect::<Vec<_>>().as_flattened());
        Self { settings: settings.clone(), certificate, files }
    }
}

/// What one upstream is shown.
pub(super) struct Credential {
    upstream: Arc<str>,
    made_of: MadeOf,
    source: Source,
    /// The header's name, folded: no other spelling of it reaches the upstream either.
    folded: Box<str>,
    state: ArcSwap<State>,
    /// For those that wait for another state.
    changed: Notify,
    /// For who keeps it fresh: the upstream refuses what there is.
    refused: Notify,
    /// When it last did, in milliseconds on the clock that nobody corrects, and 1.
    refused_at: AtomicU64,
    /// How many attempts had ended when it last did, and 1.
    refused_after: AtomicU64,
    renewed: AtomicU64,
    failed: AtomicU64,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

enum Source {
    Fixed,
    File(PathBuf),
    Endpoint { endpoint: Box<TokenEndpoint>, timeout: Duration },
}

/// How often at most an upstream's 401 makes us ask for another token: what it answers must not make us ask for ever.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// What the log and `Retry-After` say where nothing else is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Credential {
    fn new(
        upstream: &Arc<str>,
        made_of: MadeOf,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, String> {
        let CredentialSettings { header, source, .. } = &made_of.settings;
        let (source, state) = match source {
            CredentialSource::Fixed(secret) => {
                (Source::Fixed, State::holding(value(&made_of.settings, secret.expose())?))
            }
            CredentialSource::File(path) => (Source::File(path.clone()), State::new()),
            CredentialSource::ClientCredentials(settings) => {
                let endpoint = Box::new(TokenEndpoint::new(settings, made_of.certificate.as_ref())?);
                (Source::Endpoint { endpoint, timeout: settings.timeout }, State::new())
            }
        };
        let made = Self {
            upstream: upstream.clone(),
            folded: crate::model::header::fold(header.as_str()).into(),
            source,
            state: ArcSwap::from_pointee(state),
            changed: Notify::new(),
            refused: Notify::new(),
            refused_at: AtomicU64::new(0),
            refused_after: AtomicU64::new(0),
            renewed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            made_of,
            clock,
            entropy,
        };
        if let Source::File(path) = &made.source {
            made.take(file::read(path));
        }
        Ok(made)
    }

    /// The header's name, folded.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether it has to be kept fresh.
    fn ages(&self) -> bool {
        !matches!(self.source, Source::Fixed)
    }

    /// Whether an upstream that refuses it may be shown another one.
    pub(super) fn is_issued(&self) -> bool {
        matches!(self.source, Source::Endpoint { .. })
    }

    /// What is shown now. Waits where it has never been had, for as long as having it may take.
    pub(super) async fn current(&self) -> Result<Arc<Held>, Denial> {
        let held = self.state.load().usable(self.clock.elapsed());
        match held {
            Some(held) => Ok(held),
            None => self.awaited().await,
        }
    }

    async fn awaited(&self) -> Result<Arc<Held>, Denial> {
        let limit = match &self.source {
            Source::Endpoint { timeout, .. } => *timeout,
            Source::Fixed | Source::File(_) => RETRY_AFTER,
        };
        let waiting = self.until(|state| {
            let now = self.clock.elapsed();
            match (state.usable(now), &state.problem) {
                (Some(held), _) => Some(Ok(held)),
                (None, Some(problem)) => {
                    let after = state.next.saturating_sub(now).max(RETRY_AFTER);
                    Some(Err(self.unavailable(problem).retry_after(after)))
                }
                (None, None) => None,
            }
        });
        let late = |_| Err(self.unavailable(&format!("none within {limit:?}")).retry_after(RETRY_AFTER));
        timeout(limit, waiting).await.unwrap_or_else(late)
    }

    /// The upstream has refused what it was shown. Sees to it that there will be another one, at most so often, and waits
    /// for it where that is wanted; `None` where there is none. What there is goes on to count meanwhile: an upstream that
    /// refuses everything must not keep requests from it that it would answer.
    pub(super) async fn another(&self, shown: &Held, wait: bool) -> Option<Arc<Held>> {
        let Source::Endpoint { timeout: limit, .. } = &self.source else { return None };
        let other = |state: &State| state.usable(self.clock.elapsed()).filter(|held| held.number != shown.number);
        let ended = {
            let state = self.state.load();
            if let Some(newer) = other(&state) {
                return Some(newer);
            }
            state.ended
        };
        if self.may_ask(ended) {
            tracing::warn!(upstream = &*self.upstream, "the upstream refuses the credential; another one is asked for");
            self.refused.notify_one();
        } else if self.refused_after.load(Relaxed) != ended.saturating_add(1) {
            // The attempt that an earlier refusal caused has ended, and brought nothing else.
            return None;
        }
        if !wait {
            return None;
        }
        let waiting = self.until(|state| (state.ended > ended).then(|| other(state)));
        timeout(*limit, waiting).await.ok().flatten()
    }

    /// Whether a refusal, after so many attempts, may cause a call now.
    fn may_ask(&self, ended: u64) -> bool {
        let now = millis(self.clock.elapsed()).saturating_add(1);
        let last = self.refused_at.load(Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= millis(REFUSED_PAUSE);
        if !is_due {
            return false;
        }
        // First, so that others who find that it is not due any more wait for the same.
        self.refused_after.store(ended.saturating_add(1), Relaxed);
        self.refused_at.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }

    /// What `find` finds in the state, once it finds something.
    async fn until<T>(&self, find: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking, so that no change falls between the look and the wait.
            changed.as_mut().enable();
            if let Some(found) = find(&self.state.load()) {
                return found;
            }
            changed.await;
        }
    }

    fn unavailable(&self, problem: &str) -> Denial {
        let detail = format!("{}: credential: {problem}", self.upstream);
        Denial::because(Reason::UpstreamCredentialUnavailable, detail)
    }

    fn header(&self) -> &HeaderName {
        &self.made_of.settings.header
    }

    /// Shows it: whatever a client has said in its place is gone, in every spelling.
    pub(super) fn show(&self, held: &Held, headers: &mut HeaderMap) {
        strip(headers, &self.folded);
        headers.insert(self.header(), held.value.clone());
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
