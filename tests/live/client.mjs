// The official client under remote control: a command per line on stdin, what happens per line on stdout.
//
// It keeps the rules of docs/asyncapi.yaml: events wait until `stream.ready`, and each is applied once, in order.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const clients = new Map();

function connect({ name, url, token, transports, last_event_id }) {
  const state = { token, last: last_event_id ?? null, ready: false, held: [] };
  const socket = io(url, {
    transports, reconnectionDelay: 50, reconnectionDelayMax: 200, forceNew: true,
    auth: (send) => send({ token: state.token, last_event_id: state.last ?? undefined }),
  });
  const newer = (a, b) => b === null || compare(a, b) > 0;
  const apply = (event, data) => {
    if (!newer(data.event_id, state.last)) return;
    state.last = data.event_id;
    say({ client: name, event, data });
  };
  socket.on("connect", () => say({ client: name, connected: socket.io.engine.transport.name }));
  socket.on("connect_error", (error) => say({ client: name, refused: error.message, data: error.data ?? null }));
  socket.on("disconnect", (reason) => { state.ready = false; say({ client: name, disconnected: reason }); });
  socket.io.engine?.on("upgrade", (transport) => say({ client: name, upgraded: transport.name }));
  socket.onAny((event, data) => {
    if (event === "stream.reset") say({ client: name, event, data });
    else if (event === "stream.ready") {
      if (!data.complete) state.last = data.last_event_id;
      say({ client: name, event, data });
      for (const missed of data.events) apply(missed.name, missed.data);
      for (const [held, late] of state.held.splice(0)) apply(held, late);
      state.ready = true;
    } else if (state.ready) apply(event, data);
    else state.held.push([event, data]);
  });
  clients.set(name, { socket, state });
}

// Ids are `milliseconds-sequence`: compared as two numbers.
function compare(a, b) {
  const [left, right] = [a, b].map((id) => id.split("-").map(BigInt));
  return Number(left[0] === right[0] ? left[1] - right[1] : left[0] - right[0]);
}

const commands = {
  connect,
  // The network goes away without a word, and is back at once.
  drop: ({ name }) => clients.get(name).socket.io.engine.close(),
  away: ({ name }) => clients.get(name).socket.disconnect(),
  back: ({ name }) => clients.get(name).socket.connect(),
  emit: ({ name, event, data }) =>
    clients.get(name).socket.emit(event, data, (answered) => say({ client: name, answered })),
};
createInterface({ input: process.stdin })
  .on("line", (line) => { const { command, ...rest } = JSON.parse(line); commands[command](rest); })
  .on("close", () => process.exit());
