// Bundles main process and preload script into dist/desktop: one file each, everything in them but Electron, so that a
// package needs no node_modules. The pages have a build of their own (desktop/ui/vite.config.ts).
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'electron-vite';

const inRoot = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Below the working directory: the checkout, or a test's own folder. */
const OUTPUT = 'dist/desktop';

// biome-ignore lint/style/noDefaultExport: electron-vite reads the default export
export default defineConfig({
  main: {
    // Put in at the build: what the environment of a running app says must not count.
    define: { 'process.env.WEFT_UPDATE_KEY': JSON.stringify(process.env.WEFT_UPDATE_KEY ?? '') },
    build: {
      outDir: OUTPUT,
      emptyOutDir: false,
      externalizeDeps: false,
      rollupOptions: {
        input: { main: inRoot('desktop/main/main.ts') },
        output: { format: 'es', entryFileNames: '[name].js', codeSplitting: false },
      },
    },
  },
  preload: {
    build: {
      outDir: OUTPUT,
      emptyOutDir: false,
      externalizeDeps: false,
      rollupOptions: {
        input: { preload: inRoot('desktop/preload/preload.ts') },
        // A sandboxed preload script can't be a module.
        output: { format: 'cjs', entryFileNames: '[name].cjs', codeSplitting: false },
      },
    },
  },
});
