//! What an operator relies on: the doctor, socket activation and readiness, data of another
//! version, and the files of `tuning/`.

mod activation;
mod doctor;
mod ends;
mod files;
mod index;
mod limits;
mod numbers;
mod purge;
mod purge_within;
mod secrets;
mod scrub;
mod space;
mod versions;
