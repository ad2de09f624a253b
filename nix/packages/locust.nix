# Locust as a program: nixpkgs has it as a module of Python, which names no main program.
{ python3Packages }:
(python3Packages.toPythonApplication python3Packages.locust).overrideAttrs (module: {
  meta = module.meta // {
    mainProgram = "locust";
  };
})
