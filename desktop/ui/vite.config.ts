// How the pages are built: one folder of static files, which every node serves and the desktop app shows. Also the development
// server, which forwards to a node that runs.
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The node that pages in development talk to. */
const NODE = process.env.WEFT_DEV_NODE ?? 'http://127.0.0.1:9338';

// biome-ignore lint/style/noDefaultExport: vite reads the default export
export default defineConfig({
  root: import.meta.dirname,
  // Relative: the same files lie behind http:// and app://.
  base: './',
  plugins: [react(), tailwindcss()],
  build: {
    outDir: '../../dist/ui',
    emptyOutDir: true,
    target: 'es2024',
    // Nothing may be inlined: the content security policy allows no data: scripts, and fonts and pictures are few.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': NODE, '/v1': NODE } },
});
