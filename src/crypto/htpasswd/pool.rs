//! Threads that hash passwords, so that nothing else waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// A bounded number of threads with a bounded queue before them. They end with it.
pub struct Hashers {
    jobs: SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

/// More is waiting than will be done in time, or it was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub struct Busy;

impl Hashers {
    /// Starts `threads`; at most `queue` jobs wait for them.
    pub fn start(threads: usize, queue: usize) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name(format!("hasher-{number}")).spawn(move || serve(&waiting))?;
        }
        Ok(Self { jobs })
    }

    /// What `work` comes to, on one of the threads.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (done, outcome) = oneshot::channel();
        // Nobody waits any more where the receiver is gone.
        let job = Box::new(move || drop(done.send(work())));
        self.jobs.try_send(job).map_err(|_| Busy)?;
        outcome.await.map_err(|_| Busy)
    }
}

fn serve(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("checking a password broke off");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn number(number: u8) -> impl FnOnce() -> u8 {
        move || number
    }

    #[tokio::test]
    async fn f61_what_does_not_fit_is_refused_at_once() {
        let hashers = Hashers::start(1, 2).unwrap();
        let (begun, released) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (at_work, may_end) = (begun.clone(), released.clone());
        let first = hashers.run(move || {
            at_work.wait();
            may_end.wait();
            1
        });
        let mut first = Box::pin(first);
        assert!(futures_util::FutureExt::now_or_never(first.as_mut()).is_none());
        tokio::task::spawn_blocking(move || begun.wait()).await.unwrap();
        let (mut second, mut third) = (Box::pin(hashers.run(number(2))), Box::pin(hashers.run(number(3))));
        for waiting in [second.as_mut(), third.as_mut()] {
            assert!(futures_util::FutureExt::now_or_never(waiting).is_none());
        }
        assert_eq!(hashers.run(|| 4).await, Err(Busy));
        tokio::task::spawn_blocking(move || released.wait()).await.unwrap();
        assert_eq!((first.await, second.await, third.await), (Ok(1), Ok(2), Ok(3)));
    }

    #[tokio::test]
    async fn a_crash_takes_no_thread_along() {
        let hashers = Hashers::start(1, 2).unwrap();
        assert_eq!(hashers.run(|| -> u8 { panic!("a fault of ours") }).await, Err(Busy));
        assert_eq!(hashers.run(|| 2).await, Ok(2));
    }
}
