//! What a log answers: what is read, is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_core::entry::LogEntry;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = LogEntry::parse(bytes) else { return };
    assert_eq!(LogEntry::parse(&entry.to_jcs()).expect("an entry is read back"), entry);
});
