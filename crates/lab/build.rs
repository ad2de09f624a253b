//! Generates a client from the assignment's own proto, which knows nothing of the fields that were added since.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=assignment/producto.proto");
    let descriptors = protox::compile(["assignment/producto.proto"], ["assignment"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(descriptors)?;
    Ok(())
}
