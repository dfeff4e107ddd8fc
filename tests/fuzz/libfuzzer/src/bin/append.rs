#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailrace_fuzz::targets::append::run(data));
