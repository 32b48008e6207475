//! What the gate decides and what an upstream is told, through real sockets.

mod headers;
mod trust;
