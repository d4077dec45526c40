//! jcs
