// The page is complete without this: it only saves reloading it.
const main = document.querySelector("main");
const state = document.getElementById("state");
const events = new EventSource("/events");
events.onmessage = (e) => {
	main.innerHTML = e.data; // rendered, and escaped, by gatehouse
	state.textContent = "";
};
events.onerror = () => {
	state.textContent = "gatehouse does not answer: what is shown is old";
};
