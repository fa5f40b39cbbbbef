//! Building blocks of the `OpenAPI` document: operations, their problems and headers from
//! [`crate::problem`], schemas from the types that are written. What there is to say of an operation
//! is written beside the role that serves it.

mod document;
pub mod headers;
mod operation;
pub mod problems;
pub mod schemas;

pub use self::{
    document::{Chapter, Describe, Described, document},
    operation::{Answer, Operation},
    schemas::Schemas,
};
