//! What the proxy does with requests and answers, through real sockets.

mod assertion;
mod bodies;
mod conformance_http1;
mod corpus;
mod cors;
mod csrf;
mod denials;
mod drain;
mod edits;
mod events;
mod expect;
mod http2;
mod hygiene;
mod limits;
mod live;
mod maintenance;
mod messages;
mod outage;
mod overload;
mod pages;
mod pooling;
mod rewrite;
mod streaming;
mod upstreams;
mod websocket;
mod websocket_http2;
