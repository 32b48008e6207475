//! The gate and everything around it, of which each part can fail; what happens is told to the [`Oracle`] as well.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, Method};

use super::super::bench::{NOW, route};
use super::credentials::{BOUND, CREDENTIALS, DNS, ISS, Sent, fingerprint, make, set};
use super::oracle::Oracle;
use super::records::{Record, Records, Wire};
use super::{Announced, Event, Keys, Line, Meanwhile, Route, Scope};
use crate::crypto::Signer;
use crate::gate::fixtures::{self, HeldClock};
use crate::gate::revocation::{RevocationSet, Steps};
use crate::gate::{CheckRequest, Gate, Shared};
use crate::model::denial::Reason;
use crate::model::settings::{MtlsMatch, MtlsRule, OnStale, RouteSettings, Rule, Rules, Settings};
use crate::model::{Client, ClientCertificate, Clock, CredentialKind, LogEntry, Revocation, SessionRecord, Timestamp};
use crate::store::Store;

pub(super) const MAX_STALENESS: Duration = Duration::from_secs(5);

pub(super) struct World {
    clock: Arc<HeldClock>,
    records: Arc<Records>,
    wire: Arc<Wire>,
    /// As the instance has it.
    store: Store,
    settings: Settings,
    signer: Arc<Signer>,
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    steps: Steps,
    sent: Vec<Sent>,
    oracle: Oracle,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = HeldClock::at(NOW);
        let records = Arc::new(Records::new(clock.clone()));
        let (mut sent, mut ids) = (Vec::new(), Vec::new());
        for (at, credential) in CREDENTIALS.iter().enumerate() {
            let one = make(at, credential, &records);
            ids.push(one.id.clone());
            sent.push(one);
        }
        let central = fixtures::store(clock.clone());
        let wire = Arc::new(Wire::over_store(central.clone()));
        let store = Store { sessions: records.clone(), api_keys: records.clone(), log: wire.clone(), ..central };
        let settings = settings();
        let signer = Arc::new(Signer::generate().unwrap());
        let (shared, gate) = start(&settings, &clock, &store, &signer, Keys::Both);
        let oracle = Oracle::new(records.clone(), ids);
        Self { clock, records, wire, store, settings, signer, shared, gate, steps: Steps::default(), sent, oracle }
    }

    /// Makes it happen; what the gate has done wrong.
    pub(super) async fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Ask(one, route) => {
                let before = self.oracle.moment(one, self.clock.now());
                let outcome = self.ask(one, route).await;
                self.oracle.judge(one, route, outcome, &[before])?;
            }
            Event::AskSlowly(one, route, meanwhile) => self.ask_slowly(one, route, meanwhile).await?,
            Event::Other(other) => self.meanwhile(other).await,
            Event::Pass(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Event::Line(line) => *self.wire.line.lock().unwrap() = line,
            Event::Records(up) => self.records.down.store(!up, Ordering::SeqCst),
            Event::LoseLog => {
                self.wire.store.store(Arc::new(fixtures::store(self.clock.clone())));
                self.oracle.log_is_lost();
            }
            Event::Restart => {
                let keys = self.oracle.keys;
                (self.shared, self.gate) = start(&self.settings, &self.clock, &self.store, &self.signer, keys);
                self.steps = Steps::default();
                self.oracle.restarted();
            }
            Event::Evict => {
                self.shared.cache.clear();
                self.oracle.evicted();
            }
        }
        settle().await;
        Ok(())
    }

    pub(super) async fn ask(&self, one: usize, route: Route) -> Result<(), Reason> {
        let request = Request::new(&self.sent[one], one, route);
        let outcome = check(&self.gate, &request, self.clock.now()).await;
        settle().await;
        outcome
    }

    async fn ask_slowly(&mut self, one: usize, route: Route, meanwhile: [Meanwhile; 2]) -> Result<(), String> {
        let before = self.oracle.moment(one, self.clock.now());
        let (gate, request, now) = (self.gate.clone(), Request::new(&self.sent[one], one, route), self.clock.now());
        self.records.held.store(true, Ordering::SeqCst);
        let mut asking = std::pin::pin!(check(&gate, &request, now));
        let early = futures_util::poll!(asking.as_mut());
        settle().await;
        for other in meanwhile {
            self.meanwhile(other).await;
        }
        self.records.held.store(false, Ordering::SeqCst);
        self.records.released.notify_waiters();
        match early {
            Poll::Ready(outcome) => self.oracle.judge(one, route, outcome, &[before]),
            Poll::Pending => {
                let outcome = asking.await;
                let after = self.oracle.moment(one, now);
                self.oracle.judge(one, route, outcome, &[before, after])
            }
        }
    }

    async fn meanwhile(&mut self, other: Meanwhile) {
        let now = self.clock.now();
        match other {
            Meanwhile::Revoke(one, scope) => self.revoke(one, scope).await,
            Meanwhile::Change(one, reader, announced) => {
                self.change(one, announced, move |record| {
                    let roles = match record {
                        Some(Record::Session(session)) => &mut session.roles,
                        Some(Record::Key(key)) => &mut key.roles,
                        None => return,
                    };
                    *roles = if reader { vec!["reader".into()] } else { vec![] };
                })
                .await;
            }
            Meanwhile::Exist(one, there, announced) => {
                let first = self.records.history(one).remove(0).record;
                self.change(one, announced, move |record| match record {
                    Some(Record::Key(key)) => key.revoked_at = (!there).then_some(now),
                    record if there => *record = record.take().or(first).map(|record| used(record, now)),
                    record => *record = None,
                })
                .await;
            }
            Meanwhile::Rotate(keys) => {
                self.shared.issuers.rotate("main", set(keys));
                self.oracle.keys = keys;
            }
            Meanwhile::Follow => {
                let replays = self.wire.replays.load(Ordering::SeqCst);
                let mut worked = false;
                for _ in 0..4 {
                    worked = self.steps.advance(&self.shared, &self.store).await;
                }
                let replayed = self.wire.replays.load(Ordering::SeqCst) > replays;
                let up = *self.wire.line.lock().unwrap() == Line::Up;
                if replayed || (worked && up) {
                    self.oracle.followed(replayed, now);
                }
            }
        }
        settle().await;
    }

    async fn change(&mut self, one: usize, announced: Announced, change: impl FnOnce(&mut Option<Record>)) {
        if !CREDENTIALS[one].is_stored() {
            return;
        }
        self.records.change(one, self.clock.now(), change);
        if announced == Announced::Yes {
            self.append(Revocation::Changed { id: self.sent[one].id.clone() }).await;
        }
    }

    async fn revoke(&mut self, one: usize, scope: Scope) {
        let (credential, now) = (&CREDENTIALS[one], self.clock.now());
        let (principal, id) = (credential.principal(), self.sent[one].id.clone());
        let what = match (scope, credential.kind) {
            (Scope::Principal, _) => {
                Revocation::PrincipalBefore { principal, before: now.after(Duration::from_millis(1)) }
            }
            (Scope::Sessions, _) => Revocation::Sessions { principal, generation: 1 },
            (Scope::Itself, CredentialKind::Session) => Revocation::Session { id },
            (Scope::Itself, CredentialKind::ApiKey) => Revocation::ApiKey { id },
            (Scope::Itself, CredentialKind::Mtls) => Revocation::Certificate { fingerprint: id },
            (Scope::Itself, _) => Revocation::Token { issuer: ISS.into(), id },
        };
        self.append(what).await;
    }

    async fn append(&mut self, what: Revocation) {
        let entry = LogEntry { what, until: Timestamp::NEVER };
        let central = self.wire.store.load_full();
        central.log.append(&entry).await.unwrap();
        self.oracle.appended(entry.what, self.clock.now());
    }
}

/// Lets tasks that were set off come to their end.
async fn settle() {
    for _ in 0..12 {
        tokio::task::yield_now().await;
    }
}

fn used(record: Record, now: Timestamp) -> Record {
    match record {
        Record::Session(session) => Record::Session(SessionRecord { seen_at: now, ..session }),
        key @ Record::Key(_) => key,
    }
}

fn settings() -> Settings {
    let all = ["jwt:main", "api_key", "session", "mtls"];
    let readers = vec![Rule { name: "allow[0]".into(), roles: vec!["reader".into()], ..Rule::default() }];
    let mut settings = fixtures::settings(vec![
        route("strict", &all),
        RouteSettings { on_stale: OnStale::Allow, ..route("lenient", &all) },
        RouteSettings { rules: Rules { allow: readers, ..Rules::default() }, ..route("readers", &all) },
    ]);
    let matches = MtlsMatch::Dns("{name}.svc".into());
    let rule = MtlsRule {
        matches: vec![matches],
        tenant: String::new(),
        groups: vec![],
        subject: "{name}".into(),
        roles: vec!["reader".into()],
        scopes: vec![],
    };
    settings.mtls.push(rule);
    settings
}

fn start(
    settings: &Settings,
    clock: &Arc<HeldClock>,
    store: &Store,
    signer: &Arc<Signer>,
    keys: Keys,
) -> (Arc<Shared>, Arc<Gate>) {
    let mut shared = Arc::into_inner(fixtures::shared(clock.clone())).unwrap();
    shared.revocations = Arc::new(RevocationSet::new(MAX_STALENESS));
    shared.issuers.rotate("main", set(keys));
    let shared = Arc::new(shared);
    let gate = Gate::new(settings, shared.clone(), store.clone(), signer.clone()).unwrap();
    (shared, Arc::new(gate))
}

struct Request {
    target: &'static str,
    headers: HeaderMap,
    client: Client,
}

impl Request {
    fn new(sent: &Sent, one: usize, route: Route) -> Self {
        let target = match route {
            Route::Strict => "/strict",
            Route::Lenient => "/lenient",
            Route::Readers => "/readers",
        };
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = &sent.header {
            headers.insert(*name, value.parse().unwrap());
        }
        let certificate = ClientCertificate {
            chain: vec![],
            issuer: String::new(),
            by: [].into(),
            told: crate::model::Told::default(),
            fingerprint: fingerprint(),
            uris: vec![],
            dns: vec![DNS.to_owned()],
            emails: vec![],
            subject: String::new(),
            not_after: Timestamp::NEVER,
        };
        let with = one == BOUND || sent.header.is_none();
        let client = Client { certificate: with.then(|| Arc::new(certificate)), ..fixtures::client("192.0.2.1") };
        Self { target, headers, client }
    }
}

async fn check(gate: &Gate, request: &Request, now: Timestamp) -> Result<(), Reason> {
    let Request { target, headers, client } = request;
    let request = CheckRequest {
        listener: "main",
        method: &Method::GET,
        target,
        host: "app.example",
        headers,
        client,
        public_origin: None,
        now,
    };
    gate.check(&request).await.map(drop).map_err(|denial| denial.reason)
}

impl Wire {
    fn over_store(store: Store) -> Self {
        Self { line: Mutex::new(Line::Up), store: ArcSwap::from_pointee(store), replays: 0.into() }
    }
}
