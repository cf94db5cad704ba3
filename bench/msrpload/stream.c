/* One long message through the relay, and small messages of another session beside it.
 *
 * The receiver holds two sessions, by default over one connection: the long message goes to the first, the
 * small ones (at fixed times, whatever became of the earlier ones) to the second. Two connections send.
 * The receiver reads all it gets, or so many bytes per second.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "modes.h"
#include "report.h"
#include "stream.h"

#define SECOND 1000000000ull
#define SILENCE (15 * SECOND)
#define SAMPLE_INTERVAL (SECOND / 50)

static void stop(struct stream *stream, const char *error)
{
    if (!stream->error)
        stream->error = error;
}

/* ---- what is received ---- */

static void on_message(const struct unit *unit, void *context)
{
    struct flow *flow = context;
    if (flow->role == SMALL_MESSAGES)
        histogram_add(&flow->stream->latencies, now_ns() - unit->sent_at);
}

static void receiver_response(struct stream *stream, struct connection *connection, const struct frame_head *head)
{
    struct flow *flows[] = {&stream->long_message, &stream->probe};
    for (int i = 0; i < 2; i++) {
        struct session *session = &flows[i]->receiver;
        if (session->connection == connection && session_response(session, head) && session->state == SESSION_REFUSED)
            stream->bad_status = session->status;
    }
}

static void receiver_head(struct connection *connection, const struct frame_head *head)
{
    struct arrival *arrival = connection->owner;
    struct stream *stream = arrival->stream;
    const char *sender = stream->long_message.sender.uri;
    if (head->method == METHOD_RESPONSE) {
        receiver_response(stream, connection, head);
        return;
    }
    if (head->method == METHOD_REPORT) {
        stream->reports++;
        return;
    }
    bool is_long = memmem(head->from_path.data, head->from_path.length, sender, strlen(sender)) != NULL;
    arrival->delivering = is_long ? &stream->long_message : &stream->probe;
    answer_prepare(&arrival->delivering->answer, head, arrival->delivering->receiver.uri);
}

static void receiver_body(struct connection *connection, const char *bytes, size_t count)
{
    struct arrival *arrival = connection->owner;
    arrival->stream->last_progress = now_ns();
    if (arrival->delivering)
        checker_feed(&arrival->delivering->checker, bytes, count, on_message, arrival->delivering);
}

static void receiver_end(struct connection *connection, char flag)
{
    struct arrival *arrival = connection->owner;
    if (flag == '#')
        stop(arrival->stream, "the relay aborted a message");
    if (arrival->delivering)
        answer_send(&arrival->delivering->answer, connection);
    arrival->delivering = NULL;
}

static void receiver_opened(struct connection *connection)
{
    struct stream *stream = ((struct arrival *)connection->owner)->stream;
    struct flow *flows[] = {&stream->long_message, &stream->probe};
    for (int i = 0; i < 2; i++) {
        if (flows[i]->receiver.connection != connection)
            continue;
        session_init(&flows[i]->receiver, connection, i);
        session_authenticate(&flows[i]->receiver);
    }
}

static void sender_opened(struct connection *connection)
{
    struct flow *flow = connection->owner;
    session_init(&flow->sender, connection, 2 + (int)flow->role);
    flow->sender_ready = true;
}

static void sender_head(struct connection *connection, const struct frame_head *head)
{
    struct flow *flow = connection->owner;
    if (head->method == METHOD_REPORT)
        flow->stream->reports++;
    if (head->method != METHOD_RESPONSE)
        return;
    flow->answered++;
    if (head->status != 200)
        flow->stream->bad_status = head->status;
}

static void sender_written(struct connection *connection)
{
    struct flow *flow = connection->owner;
    if (flow->role == LONG_MESSAGE)
        stream_send_more(flow->stream);
}

static void ignore_body(struct connection *connection, const char *bytes, size_t count)
{
    (void)connection, (void)bytes, (void)count;
}

static void ignore_end(struct connection *connection, char flag)
{
    (void)connection, (void)flag;
}

static void sender_closed(struct connection *connection, const char *reason)
{
    stop(((struct flow *)connection->owner)->stream, reason);
}

static void receiver_closed(struct connection *connection, const char *reason)
{
    stop(((struct arrival *)connection->owner)->stream, reason);
}

/* ---- the run ---- */

static bool failed(struct stream *stream)
{
    static char text[64];
    if (stream->bad_status && !stream->error) {
        snprintf(text, sizeof text, "status %d", stream->bad_status);
        stream->error = text;
    }
    if (stream->reports)
        stop(stream, "the relay reported a failure");
    if (now_ns() - stream->last_progress > SILENCE)
        stop(stream, "nothing arrives any more");
    return stream->error != NULL;
}

static bool turn_until(struct stream *stream, bool (*done)(const struct stream *stream))
{
    stream->last_progress = now_ns();
    while (!done(stream)) {
        loop_turn(&stream->loop, 10);
        if (failed(stream))
            return false;
    }
    return true;
}

static bool receivers_granted(const struct stream *stream)
{
    return stream->long_message.receiver.state == SESSION_GRANTED && stream->probe.receiver.state == SESSION_GRANTED;
}

static bool senders_connected(const struct stream *stream)
{
    return stream->long_message.sender_ready && stream->probe.sender_ready;
}

static bool first_probe_arrived(const struct stream *stream)
{
    return stream->probe.checker.units == 1;
}

static const struct connection_handlers RECEIVER = {
    .opened = receiver_opened, .head = receiver_head, .body = receiver_body, .end = receiver_end,
    .closed = receiver_closed,
};

static const struct connection_handlers SENDER = {
    .opened = sender_opened, .head = sender_head, .body = ignore_body, .end = ignore_end,
    .written = sender_written, .closed = sender_closed,
};

static bool connect_all(struct stream *stream)
{
    struct flow *long_message = &stream->long_message, *probe = &stream->probe;
    long_message->receiver.connection = connection_open(&stream->loop, &RECEIVER, &stream->shared);
    probe->receiver.connection = stream->loop.options->own_probe_connection
                                     ? connection_open(&stream->loop, &RECEIVER, &stream->own)
                                     : long_message->receiver.connection;
    if (!turn_until(stream, receivers_granted))
        return false;
    long_message->sender.connection = connection_open(&stream->loop, &SENDER, long_message);
    probe->sender.connection = connection_open(&stream->loop, &SENDER, probe);
    if (!turn_until(stream, senders_connected))
        return false;
    stream_send_probe(stream, now_ns());
    return turn_until(stream, first_probe_arrived);
}

static void allow_reading(struct stream *stream, uint64_t now)
{
    double rate = stream->loop.options->reader_rate;
    if (rate <= 0 || stream->error)
        return;
    uint64_t due = (uint64_t)(rate * (double)(now - stream->reading_since) / 1e9);
    connection_allow(stream->long_message.receiver.connection, due - stream->allowed);
    stream->allowed = due;
}

static void sample_memory(struct stream *stream, uint64_t now)
{
    if (now < stream->next_sample)
        return;
    long rss = process_tree_rss(&stream->relay);
    if (rss > stream->rss_peak)
        stream->rss_peak = rss;
    stream->next_sample = now + SAMPLE_INTERVAL;
}

static bool all_arrived(const struct stream *stream)
{
    return stream->long_message.checker.units == 1 && stream->long_message.answered == stream->chunks;
}

static uint64_t turn(struct stream *stream)
{
    loop_turn(&stream->loop, 1);
    uint64_t now = now_ns();
    allow_reading(stream, now);
    sample_memory(stream, now);
    return now;
}

/* Seconds that the long message took. */
static double transfer(struct stream *stream)
{
    uint64_t interval = (uint64_t)(stream->loop.options->probe_interval * 1e9);
    stream->reading_since = stream->last_progress = stream->next_probe = now_ns();
    stream->sending = true;
    stream_send_more(stream);
    while (!all_arrived(stream) && !failed(stream)) {
        uint64_t now = turn(stream);
        for (; interval && !stream->error && now >= stream->next_probe; stream->next_probe += interval)
            stream_send_probe(stream, stream->next_probe);
    }
    double seconds = (double)(now_ns() - stream->reading_since) / 1e9;
    while (stream->probe.checker.units < stream->probe.sent && !failed(stream))
        turn(stream); /* the latest of the small messages count too */
    return seconds;
}

static int print_report(const struct stream *stream, double cpu, double own_cpu, double seconds)
{
    const struct options *options = stream->loop.options;
    const struct checker *checker = &stream->long_message.checker;
    const char *error = stream->error;
    uint64_t damaged = checker->damaged + stream->probe.checker.damaged;
    if (!error && damaged)
        error = "content was damaged on the way";
    double mebibytes = (double)checker->bytes / (1 << 20);
    report_begin();
    report_text("mode", "stream");
    report_text("error", error);
    report_number("tls", options->tls);
    report_number("total", (double)options->total);
    report_number("chunk", (double)options->chunk);
    report_number("reader_rate", options->reader_rate);
    report_number("own_probe_connection", options->own_probe_connection);
    report_number("received", (double)checker->bytes);
    report_number("seconds", seconds);
    report_number("mib_per_second", seconds > 0 ? mebibytes / seconds : 0);
    report_number("cpu_us", mebibytes > 0 ? cpu * 1e6 / mebibytes : 0);
    report_number("generator_busy", seconds > 0 ? own_cpu / seconds : 0);
    report_number("rss_growth_kib", (double)(stream->rss_peak - stream->rss_before));
    report_number("probes_sent", (double)stream->probe.sent);
    report_number("probes_arrived", (double)stream->latencies.total);
    report_number("p50_us", histogram_quantile(&stream->latencies, 0.5));
    report_number("p99_us", histogram_quantile(&stream->latencies, 0.99));
    report_number("largest_us", (double)stream->latencies.largest / 1e3);
    report_end();
    return error ? 1 : 0;
}

int run_stream(const struct options *options)
{
    struct stream *stream = allocate_zeroed(1, sizeof *stream);
    double cpu = 0, own_cpu = own_process_cpu(), seconds = 0;
    loop_init(&stream->loop, options);
    stream->content = (struct unit){.sent_at = now_ns(), .length = options->total};
    stream->long_message.stream = stream->probe.stream = stream->shared.stream = stream->own.stream = stream;
    stream->probe.role = SMALL_MESSAGES;
    process_tree_find(&stream->relay, options->trees, options->tree_count);
    if (connect_all(stream)) {
        memset(&stream->latencies, 0, sizeof stream->latencies);
        stream->rss_before = stream->rss_peak = process_tree_rss(&stream->relay);
        cpu = process_tree_cpu(&stream->relay);
        seconds = transfer(stream);
        cpu = process_tree_cpu(&stream->relay) - cpu;
        own_cpu = own_process_cpu() - own_cpu;
    }
    return print_report(stream, cpu, own_cpu, seconds);
}
