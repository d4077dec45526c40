//! Signed notes, their keys: each has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_core::note::{Note, NoteKey};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.as_str().as_bytes(), bytes);
        assert!(bytes.starts_with(note.text().as_bytes()));
        assert!(!note.signatures().is_empty());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = NoteKey::parse_vkey(text) {
        let vkey = key.to_vkey();
        assert_eq!(NoteKey::parse_vkey(&vkey).expect("a key is read back").to_vkey(), vkey);
    }
});
