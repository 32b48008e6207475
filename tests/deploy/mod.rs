//! What stands in `deploy/`, run as it stands there.

mod mtls;
