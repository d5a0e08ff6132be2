import { defineConfig } from "vite";

export default defineConfig({
  // The page works from any folder of a server.
  base: "./",
  // The package is beside this folder, not in it.
  server: { fs: { allow: [".", "../pkg"] } },
});
