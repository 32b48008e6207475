//! A process that is measured.

use std::net::SocketAddr;
use std::process::{Child, Command};

/// A proxy under test; ends when dropped.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
}

impl Contestant {
    /// The process and its children.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let children =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id())).unwrap_or_default();
        pids.extend(children.split_ascii_whitespace().filter_map(|p| p.parse::<u32>().ok()));
        pids
    }

    /// CPU time of all threads of all its processes, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.pids().into_iter().map(cpu_ns).sum()
    }

    /// Resident memory of all its processes.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.pids().into_iter().map(resident_kib).sum()
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        for pid in self.pids().into_iter().rev() {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.child.wait();
    }
}

/// CPU time of all threads of a process, nanoseconds (`schedstat`'s first field).
fn cpu_ns(pid: u32) -> u64 {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += stat.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    total
}

fn resident_kib(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_default()
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|v| v.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or(0)
}
