import { session } from "./session";
import { SignIn } from "./sign-in";
import { useStore } from "./store";
import { Tasks } from "./tasks";

const WAITING = {
	offline: "You are offline. What you do is kept and sent when you are back.",
	unavailable: "The server is not available right now. What you do is kept; "
		+ "trying again in a moment.",
};

export function App() {
	const { signIn, user, list, waiting } = useStore(session);
	return (
		<>
			<p class="banner" role="status">{waiting && WAITING[waiting]}</p>
			{signIn ? <SignIn reason={signIn} email={user?.email} />
				: list && user
					? <Tasks key={user.id} list={list} user={user} />
					: <main class="narrow"><p>One moment…</p></main>}
		</>
	);
}
