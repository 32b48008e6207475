//! What happens before a request is decided, through the built binary.

mod fragments;
mod http2;
mod misdirected;
mod posture;
mod proxy_protocol;
mod redirect;
mod security_headers;
mod tls;
