// src/main.ts
import { randomUUID as randomUUID2 } from "node:crypto";

// src/binary.ts
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync as mkdirSync2,
  mkdtempSync,
  readFileSync as readFileSync2,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs";
import { delimiter, dirname, isAbsolute as isAbsolute2, join as join2, resolve } from "node:path";
import { fileURLToPath } from "node:url";

// src/settings.ts
import { mkdirSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
var SETTINGS = [
  "account",
  "account-id",
  "accounts",
  "group-type",
  "ttl",
  "job-timeout",
  "session-duration",
  "email",
  "branch",
  "justification",
  "provision-arn",
  "deprovision-arn",
  "renew-arn",
  "invoker-role-arn",
  "identity-token-key-arn",
  "identity-token-audience"
];
var variable = (input) => `DAYPASS_${input.replaceAll("-", "_").toUpperCase()}`;
var CREDENTIAL_VARIABLES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_CREDENTIAL_EXPIRATION",
  "AWS_PROFILE",
  "AWS_CONFIG_FILE"
];
function mode(workflow2) {
  const value = workflow2.input("credentials") || "environment";
  if (value !== "environment" && value !== "process") {
    throw new Error(`credentials is \`${value}\`: give \`environment\` or \`process\``);
  }
  return value;
}
function folder(workflow2) {
  const temporary = workflow2.environment.RUNNER_TEMP;
  if (!temporary) throw new Error("RUNNER_TEMP is not set: this runs only as a step of GitHub Actions");
  const own = join(temporary, "daypass");
  mkdirSync(own, { recursive: true, mode: 448 });
  return own;
}
function profiles(workflow2) {
  return join(folder(workflow2), "config");
}
function sessions(workflow2) {
  return join(folder(workflow2), "sessions");
}
function settings(workflow2) {
  const given = [...SETTINGS.map((input) => [variable(input), input]), ["DAYPASS_CONFIG_FILE", "config"]].map(([name = "", input = ""]) => [name, workflow2.input(input)]).filter(([, value]) => value !== "");
  return { ...Object.fromEntries(given), DAYPASS_STATE_DIR: sessions(workflow2) };
}
function environmentOf(workflow2) {
  const inherited = Object.fromEntries(
    Object.entries(workflow2.environment).filter(
      (entry) => !!entry[1] && !/^(INPUT|STATE)_/.test(entry[0])
    )
  );
  if (inherited.AWS_CONFIG_FILE === profiles(workflow2)) {
    delete inherited.AWS_CONFIG_FILE;
    delete inherited.AWS_PROFILE;
  }
  return { ...inherited, ...settings(workflow2) };
}
function configurationOf(environment) {
  const { HOME, XDG_CONFIG_HOME } = environment;
  const below = (home, path) => home ? join(home, path) : "";
  const xdg = XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : below(HOME, ".config");
  const usual = {
    AWS_CONFIG_FILE: below(HOME, ".aws/config"),
    AWS_SHARED_CREDENTIALS_FILE: below(HOME, ".aws/credentials"),
    DAYPASS_CONFIG_FILE: below(xdg, "daypass/config.toml")
  };
  const files = Object.entries(usual).map(([variable2, place]) => [variable2, environment[variable2] ?? place]);
  return Object.fromEntries(files.map(([variable2, file]) => [variable2, textOf(file.replace(/^~(?=\/)/, HOME ?? "~"))]));
}
function textOf(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

// src/binary.ts
var TARGETS = {
  "linux-x64": "x86_64-unknown-linux-musl",
  "linux-arm64": "aarch64-unknown-linux-musl",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin"
};
var OWN_VERSION = "0.1.0";
var MOST_BYTES = 2e8;
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
function findBinary(workflow2, here = HERE) {
  const path = workflow2.input("daypass-path");
  if (path) {
    const program2 = resolve(workflow2.environment.GITHUB_WORKSPACE ?? ".", path);
    if (!isExecutable(program2)) throw new Error(`daypass-path is \`${path}\`: not an executable file`);
    return chosen(workflow2, program2, "named by daypass-path");
  }
  const wanted = workflow2.input("daypass-version").replace(/^v/, "");
  const installed = wanted ? void 0 : onPath(workflow2.environment.PATH ?? "");
  if (installed) return chosen(workflow2, installed, "found on the PATH; daypass-version takes a release instead");
  const version = wanted || OWN_VERSION;
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    throw new Error(`daypass-version is \`${version}\`: give a release, as in \`1.2.3\``);
  }
  const program = ofRelease(workflow2, version, here);
  const file = join2(privateFolder(workflow2), "daypass");
  writeFileSync(file, program, { mode: 320 });
  workflow2.addPath(dirname(file));
  return { file, sha256: digest(program) };
}
function chosen(workflow2, program, how) {
  const file = join2(privateFolder(workflow2), "daypass");
  copyProgram(program, file);
  const binary = { file, sha256: sha256(file) };
  workflow2.info(`running ${program} (${how}), SHA-256 ${binary.sha256}`);
  return binary;
}
function copyProgram(from, to) {
  copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(to, 320);
}
function privateFolder(workflow2) {
  return mkdtempSync(join2(folder(workflow2), "command-"));
}
function sha256(file) {
  return digest(readFileSync2(file));
}
function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
function onPath(path) {
  return path.split(delimiter).filter(isAbsolute2).map((folder2) => join2(folder2, "daypass")).find(isExecutable);
}
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
function ofRelease(workflow2, version, { platform, file, download }) {
  const target = TARGETS[platform];
  if (!target) {
    const known = Object.keys(TARGETS).join(", ");
    throw new Error(`there is no release for ${platform}, only for ${known}: build it and give daypass-path`);
  }
  const { GITHUB_SERVER_URL, RUNNER_TOOL_CACHE } = workflow2.environment;
  const repository = ownRepository(workflow2, file);
  if (!repository || !RUNNER_TOOL_CACHE) {
    throw new Error("this runs only as a step of GitHub Actions");
  }
  const release = `${GITHUB_SERVER_URL ?? "https://github.com"}/${repository}/releases/download/v${version}`;
  const scratch = mkdtempSync(join2(folder(workflow2), "download-"));
  const fetched = (name) => {
    try {
      download(`${release}/${name}`, join2(scratch, name));
    } catch {
      throw new Error(
        `cannot download release v${version} of ${repository}: if it exists and is private, install the binary on the runner, and give daypass-path`
      );
    }
    return readFileSync2(join2(scratch, name));
  };
  try {
    const name = `daypass-${version}-${target}`;
    const sum = listed(fetched("SHA256SUMS").toString("utf8"), `${name}.tar.gz`);
    const cached = join2(RUNNER_TOOL_CACHE, "daypass", version, `${name}.tar.gz`);
    let archive = contents(cached);
    if (!archive || digest(archive) !== sum) {
      workflow2.info(`downloading ${release}/${name}.tar.gz`);
      archive = fetched(`${name}.tar.gz`);
      if (digest(archive) !== sum) {
        throw new Error(
          `${name}.tar.gz does not match the release: its SHA-256 is ${digest(archive)}, not ${sum}. Nothing was run.`
        );
      }
      mkdirSync2(dirname(cached), { recursive: true });
      writeFileSync(`${cached}.${process.pid}`, archive);
      renameSync(`${cached}.${process.pid}`, cached);
    }
    return unpacked(archive, `${name}/daypass`);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
function unpacked(archive, member) {
  const argv = ["--extract", "--gzip", "--to-stdout", "--file", "-", member];
  const stdio = ["pipe", "pipe", "inherit"];
  return execFileSync("tar", argv, { input: archive, maxBuffer: MOST_BYTES, stdio });
}
function contents(file) {
  try {
    return readFileSync2(file);
  } catch {
    return void 0;
  }
}
function ownRepository(workflow2, file) {
  const { GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY } = workflow2.environment;
  return GITHUB_ACTION_REPOSITORY || /\/_actions\/([^/]+\/[^/]+)\//.exec(file)?.[1] || GITHUB_REPOSITORY;
}
function listed(sums, name) {
  const line = sums.split("\n").map((line2) => line2.split(/\s+\*?/)).find(([, file]) => file === name);
  if (!line?.[0]) throw new Error(`SHA256SUMS of the release does not name ${name}`);
  return line[0];
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

// src/profile.ts
import { renameSync as renameSync2, writeFileSync as writeFileSync2 } from "node:fs";
import { join as join3 } from "node:path";
var INVOKER_KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
function checkRenewable(environment) {
  if (!environment.DAYPASS_INVOKER_ROLE_ARN && INVOKER_KEYS.some((name) => environment[name])) {
    throw new Error(
      "`credentials: process` needs invoker-role-arn: the AWS credentials of this job would have expired when the role is renewed, and they are not written down"
    );
  }
}
function writeProfile(workflow2, binary, account, transaction, environment) {
  const script = join3(folder(workflow2), `credentials-${transaction}`);
  const { AWS_PROFILE, AWS_CONFIG_FILE } = environment;
  const variables = Object.entries({ AWS_PROFILE, AWS_CONFIG_FILE, ...settings(workflow2) });
  const lines = [
    "#!/bin/sh",
    "# Written by the Daypass action. Nothing here is secret.",
    `unset ${CREDENTIAL_VARIABLES.join(" ")}`,
    ...variables.filter(([, value]) => value).map(([name, value]) => `export ${name}=${quoted(value ?? "")}`),
    `exec ${quoted(binary)} credentials --transaction ${quoted(transaction)}`
  ];
  writeFileSync2(script, `${lines.join("\n")}
`, { mode: 448 });
  const unique = `daypass-${transaction}`;
  const names = isProfileName(account) ? [account, unique] : [unique];
  const config = profiles(workflow2);
  writeFileSync2(`${config}.next`, withProfiles(textOf(config), names, script), { mode: 384 });
  renameSync2(`${config}.next`, config);
  workflow2.exportVariable("AWS_CONFIG_FILE", config);
  workflow2.exportVariable("AWS_PROFILE", names[0] ?? unique);
  workflow2.setOutput("profile", unique);
  for (const name of INVOKER_KEYS) {
    if (environment[name]) workflow2.exportVariable(name, "");
  }
}
function isProfileName(account) {
  return /^[\w.@-]+$/.test(account) && account !== "default";
}
function withProfiles(config, names, script) {
  const headers = names.map((name) => `[profile ${name}]
`);
  const others = config.split(/^(?=\[)/m).filter((section) => !headers.some((header) => section.startsWith(header)));
  return [...others, ...headers.map((header) => `${header}credential_process = "${script}"

`)].join("");
}
function quoted(text2) {
  return `'${text2.replaceAll("'", `'\\''`)}'`;
}

// src/state.ts
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
var NAME = "saved";
var CIPHER = "aes-256-gcm";
var IV_BYTES = 12;
var MOST_CHARACTERS = 12e4;
function save(workflow2, saved) {
  const sealed = seal(saved, token(workflow2));
  if (sealed.length > MOST_CHARACTERS) {
    throw new Error(
      `the environment of this step is too large to be saved for the release: ${sealed.length} characters, compressed, of ${MOST_CHARACTERS}. Set large variables only in the steps that need them`
    );
  }
  workflow2.saveState(NAME, sealed);
}
function token(workflow2) {
  const value = workflow2.environment.ACTIONS_RUNTIME_TOKEN;
  if (!value) throw new Error("ACTIONS_RUNTIME_TOKEN is not set: the runner of GitHub gives it to every action");
  return value;
}
function seal(saved, secret) {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key(secret), iv);
  const text2 = [cipher.update(gzipSync(JSON.stringify(saved))), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...text2]).toString("base64");
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
function granted(grant) {
  return table("Daypass: role granted", [
    ["Account", `${text(grant.account)} (${text(grant.account_id)})`],
    ["Person", text(grant.email)],
    ["Branch", text(grant.branch)],
    ["Persona", text(grant.persona)],
    ["Role", code(grant.iam_role_arn)],
    ["Transaction", code(grant.transaction_id)],
    ["Ends by itself", `${text(grant.expires_at)} (${duration(grant.role_ttl_hours)} after the request)`]
  ]);
}
function refused(refusal2, denied, account, transaction) {
  return table(denied ? "Daypass: access denied" : "Daypass: no role", [
    ["Account", text(account)],
    ["Error", refusal2.error && code(refusal2.error)],
    ["Reason", text(refusal2.reason)],
    ["What to do", refusal2.remedy && text(refusal2.remedy)],
    ["More", refusal2.docs && link(refusal2.docs)],
    ["Transaction", code(transaction)]
  ]);
}
function duration(hours) {
  const seconds = Math.round(hours * 3600);
  const parts = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor(seconds % 3600 / 60), "min"],
    [seconds % 60, "s"]
  ].filter(([count]) => count !== 0);
  return parts.map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 s";
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

// src/main.ts
async function main(workflow2) {
  if (process.platform === "win32") {
    throw new Error("Daypass does not run on Windows: give the job `runs-on: ubuntu-latest`, or a runner with macOS");
  }
  const how = mode(workflow2);
  const account = workflow2.input("account");
  if (!account) throw new Error("account is missing: name the account to deploy to");
  const environment = environmentOf(workflow2);
  maskAll(workflow2, [environment.AWS_ACCESS_KEY_ID, environment.AWS_SECRET_ACCESS_KEY, environment.AWS_SESSION_TOKEN]);
  if (how === "process") checkRenewable(environment);
  const binary = findBinary(workflow2);
  const transaction = randomUUID2();
  const saved = {
    transaction,
    phase: "requested",
    binary,
    environment,
    files: configurationOf(environment)
  };
  save(workflow2, saved);
  const daypass = new Daypass(workflow2, binary.file, environment);
  const grant = await requested(workflow2, daypass, how, account, saved);
  save(workflow2, { ...saved, phase: "granted", expiresAt: grant.expires_at });
  const keys = await daypass.credentials(transaction);
  maskAll(workflow2, [keys.AccessKeyId, keys.SecretAccessKey, keys.SessionToken]);
  if (how === "process") {
    writeProfile(workflow2, binary.file, account, transaction, environment);
  } else {
    exportKeys(workflow2, keys);
  }
  announce(workflow2, grant, transaction);
}
function maskAll(workflow2, secrets) {
  for (const secret of secrets) {
    if (secret) workflow2.mask(secret);
  }
}
async function requested(workflow2, daypass, how, account, saved) {
  const { transaction } = saved;
  try {
    return await daypass.request(transaction, how === "environment");
  } catch (error) {
    if (error instanceof DaypassError) {
      if (!error.interrupted) save(workflow2, { ...saved, phase: error.nothingGranted ? "refused" : "failed" });
      workflow2.addSummary(refused(error.refusal, error.denied, account, transaction));
    }
    throw error;
  }
}
function exportKeys(workflow2, keys) {
  workflow2.exportVariable("AWS_ACCESS_KEY_ID", keys.AccessKeyId);
  workflow2.exportVariable("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey);
  workflow2.exportVariable("AWS_SESSION_TOKEN", keys.SessionToken);
  workflow2.exportVariable("AWS_CREDENTIAL_EXPIRATION", keys.Expiration);
}
function announce(workflow2, grant, transaction) {
  const region = workflow2.input("aws-region");
  if (region) {
    workflow2.exportVariable("AWS_REGION", region);
    workflow2.exportVariable("AWS_DEFAULT_REGION", region);
  }
  workflow2.exportVariable("DAYPASS_TRANSACTION_ID", transaction);
  workflow2.exportVariable("DAYPASS_STATE_DIR", sessions(workflow2));
  workflow2.setOutput("transaction-id", transaction);
  workflow2.setOutput("role-arn", grant.iam_role_arn);
  workflow2.setOutput("role-name", grant.role_name);
  workflow2.setOutput("expires-at", grant.expires_at);
  workflow2.setOutput("persona", grant.persona);
  workflow2.setOutput("aws-account-id", grant.account_id);
  workflow2.addSummary(granted(grant));
}
var workflow = new Workflow();
try {
  await main(workflow);
} catch (error) {
  const refusal2 = error instanceof DaypassError ? error.refusal : void 0;
  const lines = [
    error instanceof Error ? error.message : String(error),
    refusal2?.remedy && `What to do: ${refusal2.remedy}`,
    refusal2?.docs && `More: ${refusal2.docs}`
  ];
  workflow.error(refusal2?.error ?? "Daypass", lines.filter(Boolean).join("\n"));
  process.exitCode = 1;
}
