/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both ends of the control socket agree on.
 *
 * A Unix stream socket carries JSON values, one a line. A client sends requests and gets one
 * reply to each, in order:
 *
 *	{"command": "domain show", "args": {"name": "www.corp.example"}}
 *	{"ok": true, "result": [...]}
 *	{"ok": false, "error": "no such domain"}
 *
 * After the reply to the command "monitor" the server sends an event a line, for as long as the
 * connection lasts. A reader that is too slow is told so by a last event
 * {"event": "overrun", ...} and disconnected.
 */
#pragma once

#define CTL_SOCKET_DEFAULT "/run/fqdnat/control.sock"
#define CTL_REQUEST_MAX    (64 << 10)  /* bytes of a request line */
#define CTL_REPLY_MAX      (256 << 20) /* bytes of a reply line */
#define CTL_ERROR_LEN      256
#define CTL_MONITOR        "monitor"
