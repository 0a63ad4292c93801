import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { signIn, signUp } from "./session";

const REASON = {
	first: null,
	"signed-out": "You are signed out.",
	ended: "Your session has ended. Sign in to go on where you were; "
		+ "what you typed is kept.",
};

interface Props {
	reason: keyof typeof REASON;
	email: string | undefined;
}

export function SignIn({ reason, email }: Props) {
	const [isNew, setNew] = useState(false);
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState<string | null>(null);
	const first = useRef<HTMLInputElement>(null);

	useLayoutEffect(() => first.current?.focus(), []);

	async function submit(event: SubmitEvent) {
		event.preventDefault();
		const data = new FormData(event.currentTarget as HTMLFormElement);
		const values = [data.get("email"), data.get("password")] as const;
		setBusy(true);
		setProblem(null);
		const failed = await (isNew ? signUp : signIn)(
			String(values[0]).trim(), String(values[1]));
		// After a sign-in this form is not shown any more.
		if (failed) {
			setBusy(false);
			setProblem(failed);
		}
	}

	return (
		<main class="narrow">
			<img src="/icon.svg" alt="" />
			<h1>{isNew ? "Sign up" : "Sign in"}</h1>
			<p>{REASON[reason] ?? "Keep your tasks, and find them anywhere."}</p>
			<form onSubmit={submit} aria-describedby="problem">
				<label for="email">E-mail address</label>
				<input id="email" name="email" type="email" required
					ref={first} autocomplete="username"
					defaultValue={reason === "ended" ? email : ""} />
				<label for="password">Password</label>
				<input id="password" name="password" type="password" required
					minLength={8} maxLength={128} aria-describedby="hint"
					autocomplete={isNew ? "new-password" : "current-password"} />
				<p id="hint" class="hint">
					{isNew ? "At least 8 characters." : ""}
				</p>
				<p id="problem" class="problem" role="alert">{problem}</p>
				<button class="main" disabled={busy}>
					{busy ? "One moment…" : isNew ? "Sign up" : "Sign in"}
				</button>
			</form>
			<p>
				{isNew ? "Already have an account? " : "New here? "}
				<button class="link" type="button" onClick={() => {
					setNew(!isNew);
					setProblem(null);
					first.current?.focus();
				}}>{isNew ? "Sign in" : "Sign up"}</button>
			</p>
		</main>
	);
}
