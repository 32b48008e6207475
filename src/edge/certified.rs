//! The connections of a listener whose clients have certificates: verified again when what verifies them has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::progress::Progress;
use crate::model::{ClientCertificate, Timestamp};

/// They are entered when they begin and leave when they end, on whatever core; nothing of a request comes here.
#[derive(Debug, Default)]
pub(super) struct Certified(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    last_id: u64,
    by_id: HashMap<u64, Member>,
}

#[derive(Debug, Clone)]
struct Member {
    progress: Arc<Progress>,
    chain: Arc<Chain>,
}

/// What a client has shown.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) certificate: Arc<ClientCertificate>,
    /// The name that it asked for, which says what it is held to.
    pub(super) name: Option<Arc<str>>,
    /// From when on each of them is not valid any more.
    pub(super) ends: Vec<Timestamp>,
}

impl Certified {
    /// Enters a connection whose client has this chain.
    pub(super) fn enter(self: &Arc<Self>, progress: &Arc<Progress>, chain: Arc<Chain>) -> Enrolled {
        let mut members = self.lock();
        members.last_id += 1;
        let id = members.last_id;
        members.by_id.insert(id, Member { progress: Arc::clone(progress), chain });
        Enrolled { certified: Arc::clone(self), id }
    }

    /// Ends every connection among those that are `due` whose chain is not good any more; how many those were.
    pub(super) fn cut_unless(&self, due: impl Fn(&Chain) -> bool, is_good: impl Fn(&Chain) -> bool) -> usize {
        // Verified without the lock: connections come and go meanwhile.
        let members: Vec<Member> = self.lock().by_id.values().filter(|member| due(&member.chain)).cloned().collect();
        let bad = members.iter().filter(|member| !is_good(&member.chain));
        bad.map(|member| member.progress.cut()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among them, until dropped.
#[derive(Debug)]
pub(super) struct Enrolled {
    certified: Arc<Certified>,
    id: u64,
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        let member = self.certified.lock().by_id.remove(&self.id);
        drop(member);
    }
}
