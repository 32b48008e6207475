//! What happens before a request is decided, through the built binary.

mod tls;
