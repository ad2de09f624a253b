# Redis, for the weather that Kafka's consumer counts.
{
  redis,
  image,
  version,
}:
image {
  inherit version;
  name = "redis";
  description = "Redis ${redis.version}: redis-server, redis-cli";
  license = "AGPL-3.0-only";
  contents = [ redis ];
  entrypoint = [ "/bin/redis-server" ];
  ports = [ 6379 ];
}
