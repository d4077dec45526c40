//! Vocabulary and mathematics of provex: what can never change once a proof exists.
//!
//! Everything here is pure: no sockets, files, clock, threads or randomness, so the same code runs in the
//! command line, in the server and in a browser. Time and chance come in as arguments, signatures through
//! the traits of [`keys`].

pub mod bundle;
pub mod checkpoint;
pub mod digest;
pub mod dsse;
pub mod entry;
pub mod ids;
pub mod intoto;
pub mod jcs;
pub mod json;
pub mod keys;
pub mod ledger;
pub mod linkage;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;
pub mod time;
pub mod trusted_root;
pub mod verify;
pub mod vex;
