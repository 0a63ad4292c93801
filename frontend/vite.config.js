import { defineConfig } from "vite";

export default defineConfig({
	root: new URL("page", import.meta.url).pathname,
	build: {
		outDir: "../dist",
		emptyOutDir: true,
		target: "es2022",
		// The Content-Security-Policy allows nothing inline.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		license: { fileName: "licenses.md" },
	},
});
