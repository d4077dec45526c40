//! VEX documents to observations: bytes in, claims and findings out.

pub mod cpe;
pub mod purl;
