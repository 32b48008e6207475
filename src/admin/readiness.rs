//! Whether new requests are welcome.

use std::sync::Arc;

use tokio::sync::watch;

use crate::telemetry::Metrics;

/// Where the process is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not ready yet, for these reasons.
    Starting(Vec<String>),
    /// Ready. What is lost later does not change that: an instance that cannot reach the store still serves what it
    /// knows, and taking all instances away at once would help nobody.
    Ready,
    /// On its way out.
    Draining,
}

/// The phase, and who waits for it. Phases only go forward.
pub struct Readiness {
    phase: watch::Sender<Phase>,
    metrics: Arc<Metrics>,
}

impl Readiness {
    /// Starting.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting(vec!["starting".to_owned()])), metrics }
    }

    /// Still not ready, for these reasons; says whether they are other ones than before.
    pub fn waiting_for(&self, reasons: Vec<String>) -> bool {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Starting(known) if *known != reasons => {
                *known = reasons;
                true
            }
            _ => false,
        })
    }

    /// Ready, unless draining has begun.
    pub fn ready(&self) {
        let now_ready = self.phase.send_if_modified(|phase| {
            let starting = matches!(phase, Phase::Starting(_));
            if starting {
                *phase = Phase::Ready;
            }
            starting
        });
        if now_ready {
            self.metrics.ready(true);
        }
    }

    /// No longer.
    pub fn draining(&self) {
        self.phase.send_replace(Phase::Draining);
        self.metrics.ready(false);
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Waits until starting has ended; whether it ended in being ready.
    pub async fn started(&self) -> bool {
        let mut phases = self.phase.subscribe();
        let ended = phases.wait_for(|phase| !matches!(phase, Phase::Starting(_))).await;
        ended.is_ok_and(|phase| *phase == Phase::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness() -> Readiness {
        Readiness::new(Arc::new(Metrics::new(&[])))
    }

    #[test]
    fn what_is_lost_later_does_not_unready() {
        let readiness = readiness();
        assert!(readiness.waiting_for(vec!["store".to_owned()]));
        assert!(!readiness.waiting_for(vec!["store".to_owned()]), "the same reasons are no news");
        readiness.ready();
        assert!(!readiness.waiting_for(vec!["store".to_owned()]));
        assert_eq!(readiness.phase(), Phase::Ready);
    }

    #[tokio::test]
    async fn draining_is_final() {
        let readiness = readiness();
        readiness.draining();
        readiness.ready();
        assert_eq!(readiness.phase(), Phase::Draining);
        assert!(!readiness.started().await);
    }
}
