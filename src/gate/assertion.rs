//! The signed statement of identity for upstreams.
