//! CPE names: the bound form is its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_formats::cpe::Cpe;

fuzz_target!(|text: &str| {
    let Ok(cpe) = Cpe::parse(text) else { return };
    let again = Cpe::parse(cpe.bound()).expect("a bound name is a name");
    assert_eq!(again.bound(), cpe.bound());
});
