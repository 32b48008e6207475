//! Portcullis: authentication, authorization and rate limits in front of any HTTP service.

pub mod model;

pub mod config;
pub mod crypto;
pub mod store;
pub mod telemetry;

pub mod edge;
pub mod gate;

pub mod upstream;

pub mod admin;
pub mod proxy;

pub mod app;

pub mod cli;
