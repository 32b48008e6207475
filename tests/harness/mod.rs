//! Starts real servers and speaks to them byte for byte.

pub mod certificates;
pub mod cluster;
pub mod fleet;
pub mod h2raw;
pub mod http;
pub mod portcullis;
pub mod process;
pub mod redis;
pub mod relay;
pub mod sentinel;
pub mod streams;
pub mod upstream;
pub mod walk;
