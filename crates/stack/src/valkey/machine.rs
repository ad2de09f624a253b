//! A Valkey in a virtual machine: the disk of `docs/disk.md` under QEMU, without KVM even where there is one, so that all machines
//! measure the same. What is ended is unplugged; the disk of its data stays.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Valkey;
use crate::error::StackError;
use crate::locate;
use crate::port::free_port;
use crate::server::{Server, failed, with_free_ports};

/// Of the user `default`: the disk starts no server without one. It is reached from this machine only.
pub(super) const PASSWORD: &str = "of-a-loopback-only";
const DISK_VARIABLE: &str = "BLACKFRIDAY_DISK";
const FIRMWARE_VARIABLE: &str = "BLACKFRIDAY_OVMF";
const FIRMWARE_FOLDER: &str = "/usr/share/OVMF";
/// What the machine's memory and data disk hold; of the disk only what is written takes room.
const MEMORY_MIB: u32 = 256;
const DATA_BYTES: u64 = 1 << 30;

impl Valkey {
    /// Boots the disk of the Valkey VM under QEMU, emulated, and waits, at most 5 minutes, until its Valkey answers. Its id is
    /// that of QEMU; it is ended, also by [`Valkey::stop`], as if its plug was pulled, and takes no directives.
    ///
    /// # Errors
    /// The variable `BLACKFRIDAY_DISK` names no disk, QEMU, OVMF's firmware or genisoimage is not on this machine, or it does not
    /// boot.
    pub async fn start_in_machine() -> Result<Self, StackError> {
        with_free_ports(async || {
            let machine = Machine::find()?;
            let (server, port) = (Server::new("valkey")?, free_port()?);
            machine.configure(&server)?;
            let program = machine.program().to_owned();
            let url = format!("redis://:{}@127.0.0.1:{port}", PASSWORD);
            let valkey = Self { machine: Some(machine), url, ..Self::of(server, program, port) };
            valkey.restart().await?;
            Ok(valkey)
        })
        .await
    }

    /// The disk that somebody has named for [`Valkey::start_in_machine`].
    #[must_use]
    pub fn disk_of_machine() -> Option<PathBuf> {
        Machine::named_disk()
    }
}

/// The programs and files of a virtual machine.
#[derive(Debug)]
pub(super) struct Machine {
    qemu: PathBuf,
    image_maker: PathBuf,
    disk: PathBuf,
    /// Of the firmware: its code, and what it remembers, of which each machine has a copy.
    code: PathBuf,
    variables: PathBuf,
}

impl Machine {
    fn named_disk() -> Option<PathBuf> {
        locate::named_by(DISK_VARIABLE)
    }

    fn find() -> Result<Self, StackError> {
        let what = "the disk of the Valkey VM";
        let disk = Self::named_disk().ok_or(StackError::NoMachine { what, variable: DISK_VARIABLE })?;
        if !disk.is_file() {
            return Err(StackError::Misnamed { what, variable: DISK_VARIABLE, path: disk });
        }
        let program = |what, variable| {
            let found = locate::named_by(variable).or_else(|| locate::on_path(what));
            found.ok_or(StackError::NoMachine { what, variable })
        };
        Ok(Self {
            qemu: program("qemu-system-x86_64", "BLACKFRIDAY_QEMU")?,
            image_maker: program("genisoimage", "BLACKFRIDAY_GENISOIMAGE")?,
            disk,
            code: firmware("CODE")?,
            variables: firmware("VARS")?,
        })
    }

    fn program(&self) -> &Path {
        &self.qemu
    }

    /// Makes the disk of its configuration, as KubeVirt does of a Secret.
    fn configure(&self, server: &Server) -> Result<(), StackError> {
        let folder = server.folder().join("config");
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        server.write("config/password", PASSWORD)?;
        server.write("config/role", "primary\n")?;
        let image = config_image(server);
        let mut command = Command::new(&self.image_maker);
        command.args(["-quiet", "-V", "valkey-cfg", "-J", "-R", "-o"]).args([&image, &folder]);
        let output = command.output().map_err(|source| StackError::Spawn {
            program: self.image_maker.display().to_string(),
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let told = io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        Err(failed("make", &image)(told))
    }

    /// What starts it, with its Valkey at this port of the loopback. Its console is its output.
    pub(super) fn command(&self, server: &Server, port: u16) -> Result<Command, StackError> {
        let (data, variables) = (server.data().join("data.raw"), server.folder().join("variables.fd"));
        if !data.exists() {
            let blank = File::create(&data).and_then(|file| file.set_len(DATA_BYTES));
            blank.map_err(failed("make", &data))?;
        }
        // Not with its mode: QEMU writes to it.
        let remembered = fs::read(&self.variables).map_err(failed("read", &self.variables))?;
        fs::write(&variables, remembered).map_err(failed("write", &variables))?;
        let mut command = Command::new(&self.qemu);
        let memory = MEMORY_MIB.to_string();
        command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", &memory]);
        command.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        command.args(["-drive", &drive("if=pflash,readonly=on", &self.code)]);
        command.args(["-drive", &drive("if=pflash", &variables)]);
        command.args(["-drive", &drive("if=none,id=boot,readonly=on", &self.disk)]);
        command.args(["-device", "virtio-blk-pci,drive=boot,bootindex=1"]);
        command.args(["-drive", &drive("if=none,id=data", &data)]);
        command.args(["-device", "virtio-blk-pci,drive=data,serial=data"]);
        command.args(["-drive", &drive("if=none,id=config,readonly=on", &config_image(server))]);
        command.args(["-device", "virtio-blk-pci,drive=config"]);
        command.args(["-netdev", &format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:6379")]);
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        Ok(command)
    }
}

fn config_image(server: &Server) -> PathBuf {
    server.folder().join("config.img")
}

/// A comma in a path is written twice.
fn drive(options: &str, file: &Path) -> String {
    format!("{options},format=raw,file={}", file.display().to_string().replace(',', ",,"))
}

/// Of one of the names that distributions give it.
fn firmware(part: &str) -> Result<PathBuf, StackError> {
    let named = locate::named_by(FIRMWARE_VARIABLE);
    let folder = named.clone().unwrap_or_else(|| FIRMWARE_FOLDER.into());
    let names = [format!("OVMF_{part}_4M.fd"), format!("OVMF_{part}.fd")];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let (what, variable) = ("a folder with OVMF's firmware", FIRMWARE_VARIABLE);
    found.ok_or(match named {
        Some(path) => StackError::Misnamed { what, variable, path },
        None => StackError::NoMachine { what, variable },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_machine_has_its_disks_and_its_port() {
        let files = tempfile::tempdir().expect("a folder");
        let variables = files.path().join("OVMF_VARS.fd");
        fs::write(&variables, "what it remembers").expect("written");
        fs::set_permissions(&variables, fs::Permissions::from_mode(0o444)).expect("as a Nix store has it");
        let machine = Machine {
            qemu: "qemu".into(),
            image_maker: "false".into(),
            disk: "/a,b/disk.raw".into(),
            code: "/code.fd".into(),
            variables,
        };
        let server = Server::new("valkey").expect("a folder");
        server.make_data().expect("made");
        let command = machine.command(&server, 6400).expect("a command");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(words.iter().any(|word| word.ends_with("hostfwd=tcp:127.0.0.1:6400-:6379")), "{words:?}");
        assert!(words.iter().any(|word| word.ends_with("file=/a,,b/disk.raw")), "{words:?}");
        let data = server.data().join("data.raw");
        assert_eq!(fs::metadata(&data).expect("made").len(), DATA_BYTES);
        fs::write(&data, "kept").expect("written");
        machine.command(&server, 6400).expect("once more");
        assert_eq!(fs::read(&data).expect("there"), b"kept");
        let refusal = machine.configure(&server).expect_err("no such image can be made").to_string();
        assert!(refusal.starts_with("make ") && refusal.ends_with("config.img"), "{refusal}");
    }
}
