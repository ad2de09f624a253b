# What all images have in common. `contents` are linked into /bin, /etc and so on; their closures are the layers.
{ lib, dockerTools }:
{
  name,
  version,
  description,
  # Of what is inside.
  license ? "Apache-2.0",
  contents,
  entrypoint,
  env ? { },
  ports ? [ ],
}:
dockerTools.buildLayeredImage {
  inherit contents;
  name = "blackfriday/${name}";
  # SemVer's build metadata has a character that no tag may have.
  tag = lib.replaceStrings [ "+" ] [ "_" ] version;
  # A layer for each store path while there is room: a new build of a program then moves one layer.
  maxLayers = 60;
  config = {
    Entrypoint = entrypoint;
    # nonroot, as distroless images number it. By number, so that runAsNonRoot can be checked without /etc/passwd.
    User = "65532:65532";
    WorkingDir = "/";
    Env = lib.mapAttrsToList (variable: value: "${variable}=${value}") env;
    ExposedPorts = lib.listToAttrs (map (port: lib.nameValuePair "${toString port}/tcp" { }) ports);
    Labels = {
      "org.opencontainers.image.title" = "blackfriday ${name}";
      "org.opencontainers.image.description" = description;
      "org.opencontainers.image.version" = version;
      "org.opencontainers.image.licenses" = license;
      "org.opencontainers.image.source" = "https://github.com/blackfriday/blackfriday";
    };
  };
}
