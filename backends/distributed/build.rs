//! `sqlx::migrate!` embeds the migrations there are when the crate is compiled; cargo does not see
//! by itself that there is another one.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
