//! `[pages]`: what browsers are shown of a refusal.

use std::sync::Arc;

/// Templates by what they are for; where there is none, the built-in page.
#[derive(Debug, Clone, Default)]
pub struct PagesSettings(pub Vec<(PageFor, PageTemplate)>);

/// What a template is for; the more exact counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageFor {
    /// One status.
    Status(u16),
    /// All of one class: 4 or 5.
    Class(u16),
    /// Everything else.
    Default,
}

/// HTML with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageTemplate(pub Vec<PagePiece>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagePiece {
    /// These characters.
    Text(Arc<str>),
    /// `{{status}}`: three digits.
    Status,
    /// `{{title}}`: what the client is told.
    Title,
    /// `{{decision_id}}`: what the log knows the refusal by.
    DecisionId,
}
