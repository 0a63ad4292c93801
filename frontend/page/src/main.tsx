import { render } from "preact";
import { App } from "./app";
import { session, start } from "./session";

addEventListener("pagehide", () => session.get().list?.sendOnLeave());

addEventListener("beforeunload", (event) => {
	if (session.get().list?.unsaved)
		event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
	const { list, signIn } = session.get();
	if (document.visibilityState === "visible" && !signIn)
		list?.refresh();
});

render(<App />, document.getElementById("page")!);
start();
