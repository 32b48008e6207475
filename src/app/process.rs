//! What the process asks of the kernel for itself.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Keeps secrets out of core dumps and away from debuggers of the same user.
pub fn protect_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let outcome = setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(problem) = outcome {
        tracing::warn!(%problem, "core dumps cannot be switched off");
    }
}

/// Raises the soft limit of open files to the hard one: every connection is one.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(problem) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%problem, limit = limit.current, "the limit of open files cannot be raised");
    }
}
