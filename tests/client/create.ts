// Creates a ticket with the generated client and finds it again, on the server whose address is
// the first argument. What the types promise is what the compiler checks.
import { strict as assert } from "node:assert";

import { client } from "./generated/client.gen.js";
import { health, lookUpTicket, submitTicket } from "./generated/sdk.gen.js";
import type { TicketForm } from "./generated/types.gen.js";

const [address] = process.argv.slice(2);
assert(address, "the address of a server");
client.setConfig({ baseUrl: address });

const form: TicketForm = {
  name: "Ada Lovelace",
  email: "ada@example.org",
  subject: "technical",
  message: `The engine has stopped (${process.pid}).`,
  timestamp: new Date().toISOString(),
};

const created = await submitTicket({ body: form });
assert.equal(created.response?.status, 201, JSON.stringify(created.error));
const ticket = created.data?.data;
assert(ticket && "ticketNumber" in ticket);
assert.equal(ticket.priority, "high");

const found = await lookUpTicket({ path: { reference: ticket.ticketNumber } });
const progress = found.data?.data;
assert(progress && "history" in progress);
assert.equal(progress.history[0]?.status, "open");

const refused = await submitTicket({ body: { ...form, email: "nobody" } });
assert(refused.error && "errors" in refused.error);
assert.equal(refused.error.errors?.[0]?.pointer, "/email");

const condition = await health();
assert.equal(condition.data?.status, "ok");

console.log(`a generated client created ${ticket.ticketNumber} and found it again`);
