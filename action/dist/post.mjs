// src/post.ts
import { mkdirSync as mkdirSync2, mkdtempSync as mkdtempSync2, rmSync as rmSync2, writeFileSync as writeFileSync2 } from "node:fs";
import { join as join2 } from "node:path";

// src/binary.ts
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
var withCurl = (url, file) => {
  const options = [
    "--disable",
    "--fail",
    "--silent",
    "--show-error",
    "--location",
    "--proto",
    "=https",
    "--retry",
    "3"
  ];
  execFileSync("curl", [...options, "--output", file, url], { stdio: ["ignore", "ignore", "inherit"] });
};
var HERE = {
  platform: `${process.platform}-${process.arch}`,
  file: fileURLToPath(import.meta.url),
  download: withCurl
};
function copyOf({ file, sha256: expected }, into) {
  const copy = join(into, "daypass");
  try {
    copyProgram(file, copy);
  } catch (error) {
    throw new Error(`${file}, the program that requested the role, cannot be read`, { cause: error });
  }
  const found = sha256(copy);
  if (found !== expected) {
    throw new Error(
      `${file} is not the program that requested the role: its SHA-256 is ${found}, not ${expected}. It was not run`
    );
  }
  return copy;
}
function copyProgram(from, to) {
  copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(to, 320);
}
function sha256(file) {
  return digest(readFileSync(file));
}
function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

// src/daypass.ts
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
var DENIED = 77;
var USAGE = 2;
var DaypassError = class extends Error {
  constructor(refusal2, code2) {
    super(refusal2.reason);
    this.refusal = refusal2;
    this.code = code2;
  }
  refusal;
  code;
  /** Nothing was granted for certain, so there is nothing to release. */
  get nothingGranted() {
    return this.code === DENIED || this.code === USAGE;
  }
  /** Nobody knows what came of it: the CLI was ended before it had an answer. */
  get interrupted() {
    return this.code > 128;
  }
  get denied() {
    return this.code === DENIED;
  }
};
var Daypass = class {
  constructor(workflow2, binary, environment) {
    this.workflow = workflow2;
    this.binary = binary;
    this.environment = environment;
  }
  workflow;
  binary;
  environment;
  /** Asks for a role; `once` if nobody is going to renew its session, so that a role for longer is of no use. */
  async request(transaction, once) {
    const options = once ? ["--once"] : [];
    return await this.run("request", ...options, "--transaction-id", transaction);
  }
  async credentials(transaction) {
    return await this.run("credentials", "--transaction", transaction);
  }
  /**
   * Gives a role back, and returns how the transaction has ended. If the answer to its request is lost, the request may still
   * be on its way, and is given some seconds to arrive.
   */
  async release(transaction, lost) {
    const answer2 = await this.run("release", ...lost ? ["--lost"] : [], transaction);
    return String(answer2.status);
  }
  /** Runs a command and returns the object that it writes to standard output, of which nothing is ever printed. */
  async run(...command) {
    const child = spawn(this.binary, ["--output", "json", ...command], {
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"]
    });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    const error = [];
    const progress = createInterface({ input: child.stderr });
    progress.on("line", (line) => {
      if (error.length > 0 || line.startsWith("{")) error.push(line);
      else this.workflow.info(line);
    });
    const printed = new Promise((resolve2) => progress.once("close", resolve2));
    const forward = (signal) => void child.kill(signal);
    process.on("SIGINT", forward).on("SIGTERM", forward);
    try {
      const code2 = await new Promise((resolve2, reject) => {
        child.once("error", (cause) => reject(new Error(`cannot run ${this.binary}: ${cause.message}`)));
        child.once("close", (status, signal) => {
          if (status === null) reject(new Error(`daypass was ended by ${signal}`));
          else resolve2(status);
        });
      });
      await printed;
      if (code2 !== 0) throw new DaypassError(refusal(error.join("\n"), code2), code2);
      return answer(Buffer.concat(output).toString("utf8"));
    } finally {
      process.off("SIGINT", forward).off("SIGTERM", forward);
    }
  }
};
function answer(text2) {
  try {
    const parsed = JSON.parse(text2);
    if (typeof parsed === "object" && parsed !== null) return parsed;
  } catch {
  }
  throw new Error(
    "daypass has succeeded and has not answered with a JSON object: check that it is the command `daypass`"
  );
}
function refusal(text2, code2) {
  try {
    const parsed = JSON.parse(text2);
    return { ...parsed, reason: String(parsed.reason) };
  } catch {
    return { reason: text2 || `daypass ended with exit code ${code2}` };
  }
}

// src/state.ts
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
var NAME = "saved";
var CIPHER = "aes-256-gcm";
var IV_BYTES = 12;
var TAG_BYTES = 16;
function load(workflow2) {
  const sealed = workflow2.state(NAME);
  if (!sealed) return void 0;
  try {
    return open(sealed, token(workflow2));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the state of this step is not what it has saved (${why})`);
  }
}
function token(workflow2) {
  const value = workflow2.environment.ACTIONS_RUNTIME_TOKEN;
  if (!value) throw new Error("ACTIONS_RUNTIME_TOKEN is not set: the runner of GitHub gives it to every action");
  return value;
}
function open(sealed, secret) {
  const bytes = Buffer.from(sealed, "base64");
  const [iv, text2] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES + TAG_BYTES)];
  const decipher = createDecipheriv(CIPHER, key(secret), iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const opened = Buffer.concat([decipher.update(text2), decipher.final()]);
  return JSON.parse(gunzipSync(opened).toString("utf8"));
}
function key(secret) {
  return Buffer.from(hkdfSync("sha256", secret, "", "state of the Daypass action", 32));
}

// src/workflow.ts
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
var Workflow = class {
  constructor(environment = process.env, print = (text2) => void process.stdout.write(text2)) {
    this.environment = environment;
    this.print = print;
  }
  environment;
  print;
  /** An input of the action; the empty string if it is not given. */
  input(name) {
    return (this.environment[`INPUT_${name.toUpperCase()}`] ?? "").trim();
  }
  /** What `main` has saved for `post`; the empty string if it has not come that far. */
  state(name) {
    return this.environment[`STATE_${name}`] ?? "";
  }
  saveState(name, value) {
    this.set("GITHUB_STATE", name, value);
  }
  setOutput(name, value) {
    this.set("GITHUB_OUTPUT", name, value);
  }
  /** Sets a variable for the steps that follow. */
  exportVariable(name, value) {
    this.set("GITHUB_ENV", name, value);
  }
  addPath(folder2) {
    this.append("GITHUB_PATH", oneLine("GITHUB_PATH", folder2));
  }
  addSummary(markdown) {
    this.append("GITHUB_STEP_SUMMARY", markdown);
  }
  /** Keeps a value out of the log from here on. */
  mask(secret) {
    this.command("add-mask", secret);
  }
  /** Prints text, whoever wrote it: the runner takes none of it for a command. */
  info(text2) {
    this.print(`${inert(text2)}
`);
  }
  warning(title, text2) {
    this.command("warning", visible(text2), title);
  }
  error(title, text2) {
    this.command("error", visible(text2), title);
  }
  command(name, message, title) {
    const properties = title === void 0 ? "" : ` title=${escaped(visible(title)).replaceAll(":", "%3A").replaceAll(",", "%2C")}`;
    this.print(`::${name}${properties}::${escaped(message)}
`);
  }
  set(file, name, value) {
    const delimiter2 = randomUUID();
    this.append(file, `${name}<<${delimiter2}
${oneLine(name, value)}
${delimiter2}`);
  }
  append(file, text2) {
    const path = this.environment[file];
    if (!path) throw new Error(`${file} is not set: this runs only as a step of GitHub Actions`);
    appendFileSync(path, `${text2}
`);
  }
};
function visible(text2) {
  return text2.replaceAll("\r\n", "\n").replace(/[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/gu, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}
function inert(text2) {
  return visible(text2).replace(/^(\s*):(?=:)/gm, "$1\\:").replaceAll("##[", "##\\[");
}
function oneLine(name, value) {
  if (new RegExp("\\p{Cc}", "u").test(value)) throw new Error(`the value of ${name} has a line feed or another control character`);
  return value;
}
function escaped(text2) {
  return text2.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

// src/summary.ts
function released(transaction) {
  return `Daypass: the role of transaction ${code(transaction)} was given back.
`;
}
function notReleased(title, refusal2, transaction, end2) {
  return table(`Daypass: ${title}`, [
    ["Error", refusal2.error && code(refusal2.error)],
    ["Reason", text(refusal2.reason)],
    ["What to do", refusal2.remedy && text(refusal2.remedy)],
    ["More", refusal2.docs && link(refusal2.docs)],
    ["Transaction", code(transaction)],
    ["Without anybody", text(end2)]
  ]);
}
function table(title, rows) {
  const lines = rows.filter(([, value]) => value).map(([name, value]) => `| ${name} | ${value} |`);
  return [`### ${title}`, "", "| | |", "|---|---|", ...lines, ""].join("\n");
}
function text(value) {
  return visible(oneLine2(value)).replace(
    /[\\`*_{}[\]<>()#|~!&@$]|:(?=\/)|(?<=www)\./gi,
    (found) => `&#${found.codePointAt(0)};`
  );
}
function code(value) {
  return `<code>${text(value)}</code>`;
}
function link(url) {
  return /^https:\/\/[\w./~%#-]+$/.test(url) ? `<${url}>` : text(url);
}
function oneLine2(value) {
  return value.replace(/\s+/g, " ").trim();
}

// src/post.ts
async function post(workflow2, saved2) {
  if (!saved2 || saved2.phase === "refused") {
    workflow2.info("Daypass: there is no role to give back");
    return;
  }
  try {
    told(workflow2, saved2, await release(workflow2, saved2));
  } catch (error) {
    const refusal2 = error instanceof DaypassError ? error.refusal : unasked(saved2, error);
    if (refusal2.status === "unconfirmed") {
      unconfirmed(workflow2, saved2, refusal2);
    } else if (refusal2.error === "Daypass.TransactionNotFound" && saved2.phase !== "granted") {
      unknown(workflow2, saved2);
    } else {
      failed(workflow2, saved2, refusal2);
    }
  }
}
function unasked({ transaction }, error) {
  const remedy = `run \`daypass release ${transaction}\` on a machine that this job cannot change`;
  return { reason: messageOf(error), remedy };
}
async function release(workflow2, { transaction, phase, binary, environment, files }) {
  const temporary = environment.RUNNER_TEMP ?? "";
  mkdirSync2(temporary, { recursive: true });
  const folder2 = mkdtempSync2(join2(temporary, "daypass-release-"));
  try {
    const named = Object.entries(files).map(([variable, text2]) => {
      writeFileSync2(join2(folder2, variable), text2, { mode: 384 });
      return [variable, join2(folder2, variable)];
    });
    const daypass = new Daypass(workflow2, copyOf(binary, folder2), {
      ...environment,
      ...Object.fromEntries(named),
      // A session that is kept says where it was granted, and can be locked: no other step's file counts here.
      DAYPASS_STATE_DIR: join2(folder2, "sessions")
    });
    const status = await daypass.release(transaction, phase === "requested");
    rmSync2(join2(environment.DAYPASS_STATE_DIR ?? "", `${transaction}.json`), { recursive: true, force: true });
    return status;
  } finally {
    rmSync2(folder2, { recursive: true, force: true });
  }
}
function told(workflow2, saved2, status) {
  const { transaction } = saved2;
  switch (status) {
    case "deprovisioned":
      workflow2.info(`Daypass: the role of transaction ${transaction} was given back`);
      workflow2.addSummary(released(transaction));
      return;
    case "failed":
    case "denied":
      workflow2.info(`Daypass: transaction ${transaction} has ended as ${status}: there is no role to give back`);
      return;
    default:
      unconfirmed(workflow2, saved2, {
        reason: `the command answered \`${status}\`, which does not prove that the role is gone`,
        remedy: "use the version of the command that belongs to this version of the action"
      });
  }
}
function unconfirmed(workflow2, saved2, refusal2) {
  const lines = ["It is unknown whether the role is gone:", ...words(refusal2), end(saved2)];
  workflow2.warning("Daypass", lines.join("\n"));
  workflow2.addSummary(notReleased("release not confirmed", refusal2, saved2.transaction, end(saved2)));
}
function unknown(workflow2, { transaction, phase }) {
  if (phase !== "requested") {
    workflow2.info("Daypass: there is no role to give back");
    return;
  }
  workflow2.warning(
    "Daypass",
    `Daypass does not know transaction ${transaction}, so there is no role to release yet. If the request still arrives, \`daypass release ${transaction}\` releases the role; otherwise its lease ends it.`
  );
}
function failed(workflow2, saved2, refusal2) {
  const lines = ["The role could not be given back:", ...words(refusal2), end(saved2)];
  workflow2.error(refusal2.error ?? "Daypass", lines.join("\n"));
  workflow2.addSummary(notReleased("role not given back", refusal2, saved2.transaction, end(saved2)));
  process.exitCode = 1;
}
function words(refusal2) {
  const { reason, remedy, docs } = refusal2;
  return [reason, remedy && `What to do: ${remedy}`, docs && `More: ${docs}`].filter(
    (line) => typeof line === "string"
  );
}
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
function end(saved2) {
  const expiry = saved2?.expiresAt;
  return `Its lease ends it by itself, ${expiry ? `at ${expiry}` : "when the requested time is over"}.`;
}
var workflow = new Workflow();
var saved;
try {
  saved = load(workflow);
  await post(workflow, saved);
} catch (error) {
  workflow.error("Daypass", `The role could not be given back: ${messageOf(error)}
${end(saved)}`);
  process.exitCode = 1;
}
