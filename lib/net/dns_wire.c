/* SPDX-License-Identifier: MIT */
/*
 * DNS packets; see dns_wire.h. Runs in the dns service, on bytes from anywhere in the world.
 * RFC 1035 3 and 4, RFC 2782 (SRV), RFC 3596 (AAAA), RFC 6891 (EDNS0), RFC 7505 (null MX).
 */

#include "net/dns_wire.h"

#include <string.h>

#include "base/ip.h"
#include "mail/domain.h"

enum { CLASS_IN = 1, TYPE_SOA = 6, TYPE_OPT = 41 };
enum { HEADER_BYTES = 12, NAME_MAX_BYTES = 255, JUMPS_MAX = 64, TTL_MAX_S = 0x7fffffff };

/* ---- questions ---- */

static void put_u16(struct buf *out, unsigned value)
{
	(void)buf_char(out, (char)(value >> 8 & 0xff));
	(void)buf_char(out, (char)(value & 0xff));
}

static bool put_name(struct buf *out, struct span name)
{
	if (span_is(name, "."))
		return buf_char(out, '\0');
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_BYTES - 2)
		return false;
	for (size_t at = 0; at <= name.n;) {
		struct span rest = span_from(name, at);
		size_t length = rest.n;

		(void)span_chr(rest, '.', &length);
		if (length == 0 || length > DOMAIN_LABEL_MAX)
			return false;
		for (size_t i = 0; i < length; i++)
			if (!ascii_is_print(rest.p[i]) || rest.p[i] == ' ')
				return false;
		(void)buf_char(out, (char)length);
		(void)buf_append(out, rest.p, length);
		at += length + 1;
	}
	return buf_char(out, '\0');
}

bool dns_wire_question(struct buf *out, struct span name, enum dns_type type, uint16_t id)
{
	size_t before = buf_span(out).n;

	put_u16(out, id);
	put_u16(out, 0x0120); /* RD, AD */
	put_u16(out, 1);
	put_u16(out, 0);
	put_u16(out, 0);
	put_u16(out, 1);
	if (!put_name(out, name)) {
		buf_truncate(out, before);
		return false;
	}
	put_u16(out, type);
	put_u16(out, CLASS_IN);
	/* OPT: root name, type, UDP size, extended rcode and flags, no data */
	(void)buf_char(out, '\0');
	put_u16(out, TYPE_OPT);
	put_u16(out, DNS_EDNS_BYTES);
	return buf_append(out, "\0\0\0\0\0\0", 6);
}

/* ---- reading ---- */

struct reader {
	const unsigned char *packet;
	size_t size;
	size_t at;
};

struct name {
	char text[NAME_MAX_BYTES + 1]; /* without the dot at the end; "" is the root */
	size_t length;
	bool is_odd; /* it has bytes that no name we use can have */
};

struct record {
	struct name owner;
	unsigned type, class;
	uint32_t ttl_s;
	size_t data_at, data_size;
};

static bool get_u16(struct reader *reader, unsigned *ret)
{
	if (reader->size - reader->at < 2)
		return false;
	*ret = (unsigned)reader->packet[reader->at] << 8 | reader->packet[reader->at + 1];
	reader->at += 2;
	return true;
}

static bool get_u32(struct reader *reader, uint32_t *ret)
{
	unsigned high, low;

	if (!get_u16(reader, &high) || !get_u16(reader, &low))
		return false;
	*ret = (uint32_t)high << 16 | low;
	return true;
}

static bool add_label(struct name *name, const unsigned char *label, size_t size)
{
	if (name->length + (name->length > 0) + size > NAME_MAX_BYTES - 2)
		return false;
	if (name->length > 0)
		name->text[name->length++] = '.';
	for (size_t i = 0; i < size; i++) {
		char c = (char)label[i];

		if (!ascii_is_print(c) || c == ' ' || c == '.' || c == '\\')
			name->is_odd = true;
		name->text[name->length++] = ascii_lower(c);
	}
	return true;
}

/*
 * A name, with compression (RFC 1035 4.1.4): a pointer must point before itself, so there is no
 * loop, and there are at most JUMPS_MAX of them.
 */
static bool get_name(struct reader *reader, struct name *ret)
{
	size_t at = reader->at;
	unsigned jumps = 0;

	ret->length = 0;
	ret->is_odd = false;
	for (;;) {
		if (at >= reader->size)
			return false;

		unsigned size = reader->packet[at];

		if (size >= 0xc0) {
			if (at + 1 >= reader->size || ++jumps > JUMPS_MAX)
				return false;

			size_t target = (size_t)(size & 0x3f) << 8 | reader->packet[at + 1];

			if (target >= at)
				return false;
			if (jumps == 1)
				reader->at = at + 2;
			at = target;
			continue;
		}
		if (size > DOMAIN_LABEL_MAX || at + 1 + size > reader->size)
			return false;
		if (size == 0)
			break;
		if (!add_label(ret, reader->packet + at + 1, size))
			return false;
		at += 1 + size;
	}
	if (jumps == 0)
		reader->at = at + 1;
	ret->text[ret->length] = '\0';
	return true;
}

static struct span name_span(const struct name *name)
{
	return (struct span){ name->text, name->length };
}

static bool get_record(struct reader *reader, struct record *ret)
{
	unsigned size;

	if (!get_name(reader, &ret->owner) || !get_u16(reader, &ret->type) ||
	    !get_u16(reader, &ret->class) || !get_u32(reader, &ret->ttl_s) ||
	    !get_u16(reader, &size) || reader->size - reader->at < size)
		return false;
	if (ret->ttl_s > TTL_MAX_S) /* RFC 2181 8 */
		ret->ttl_s = 0;
	ret->data_at = reader->at;
	ret->data_size = size;
	reader->at += size;
	return true;
}

/* A name that is all the data of a record behind `skip` bytes. */
static bool data_name(const struct reader *reader, const struct record *record, size_t skip,
		      struct name *ret)
{
	struct reader data = { reader->packet, record->data_at + record->data_size,
			       record->data_at + skip };

	return record->data_size > skip && get_name(&data, ret) && data.at == data.size;
}

static unsigned data_u16(const struct reader *reader, const struct record *record, size_t at)
{
	const unsigned char *p = reader->packet + record->data_at + at;

	return (unsigned)p[0] << 8 | p[1];
}

/* ---- one record of the answer ---- */

enum take { TAKE_OK, TAKE_BAD_NAME, TAKE_MALFORMED };

static enum take take_host(const struct reader *reader, const struct record *record, size_t skip,
			   bool may_be_root, struct name *host, struct msg_dns_record *out)
{
	if (!data_name(reader, record, skip, host))
		return TAKE_MALFORMED;
	out->host = name_span(host);
	if (host->length == 0 && may_be_root)
		return TAKE_OK;
	return host->is_odd || domain_check_name(out->host, false) != DOMAIN_OK ? TAKE_BAD_NAME
										: TAKE_OK;
}

static enum take take_address(const struct reader *reader, const struct record *record,
			      char text[IP_TEXT_MAX], struct msg_dns_record *out)
{
	struct ip_addr addr = { .family = record->type == DNS_A ? IP_V4 : IP_V6 };
	size_t size = record->type == DNS_A ? 4 : 16;

	if (record->data_size != size)
		return TAKE_MALFORMED;
	memcpy(addr.bytes, reader->packet + record->data_at, size);
	out->host = ip_text(&addr, text);
	return TAKE_OK;
}

/* The strings of a TXT record, joined (RFC 7208 3.3 and the like want no blank between). */
static enum take take_text(const struct reader *reader, const struct record *record,
			   struct buf *text, struct msg_dns_record *out)
{
	const unsigned char *p = reader->packet + record->data_at;

	for (size_t at = 0; at < record->data_size;) {
		size_t size = p[at++];

		if (size > record->data_size - at)
			return TAKE_MALFORMED;
		(void)buf_append(text, p + at, size);
		at += size;
	}
	out->data = buf_span(text);
	return TAKE_OK;
}

static enum take take_srv(const struct reader *reader, const struct record *record,
			  struct name *host, struct msg_dns_record *out)
{
	if (record->data_size < 7)
		return TAKE_MALFORMED;
	out->preference = data_u16(reader, record, 0);
	out->weight = data_u16(reader, record, 2);
	out->port = data_u16(reader, record, 4);
	return take_host(reader, record, 6, true, host, out);
}

static enum take take_mx(const struct reader *reader, const struct record *record,
			 struct name *host, struct msg_dns_record *out)
{
	if (record->data_size < 3)
		return TAKE_MALFORMED;
	out->preference = data_u16(reader, record, 0);
	return take_host(reader, record, 2, true, host, out);
}

/* Appends one record to the reply; `text` is scratch space. */
static enum take take_record(const struct reader *reader, const struct record *record,
			     struct buf *text, struct dns_reply *reply)
{
	struct msg_dns_record out = { .name = name_span(&record->owner), .type = record->type,
				      .ttl_s = record->ttl_s };
	char address[IP_TEXT_MAX];
	struct name host;
	enum take take = TAKE_OK;

	buf_reset(text);
	switch ((enum dns_type)record->type) {
	case DNS_A:
	case DNS_AAAA: take = take_address(reader, record, address, &out); break;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR: take = take_host(reader, record, 0, false, &host, &out); break;
	case DNS_MX: take = take_mx(reader, record, &host, &out); break;
	case DNS_SRV: take = take_srv(reader, record, &host, &out); break;
	case DNS_TXT: take = take_text(reader, record, text, &out); break;
	case DNS_TLSA:
		out.data = (struct span){ (const char *)reader->packet + record->data_at,
					  record->data_size };
		break;
	}
	if (take != TAKE_OK)
		return take;
	if (reply->count == DNS_RECORDS_MAX || !msg_dns_record_encode(&reply->records, &out)) {
		reply->is_cut = true;
		return TAKE_OK;
	}
	reply->count++;
	if (record->ttl_s < reply->ttl_s)
		reply->ttl_s = record->ttl_s;
	return TAKE_OK;
}

/* ---- the reply ---- */

void dns_reply_init(struct dns_reply *reply)
{
	*reply = (struct dns_reply){ 0 };
	buf_init(&reply->canonical, NAME_MAX_BYTES + 1);
	buf_init(&reply->records, DNS_RECORDS_BYTES);
}

void dns_reply_done(struct dns_reply *reply)
{
	buf_done(&reply->canonical);
	buf_done(&reply->records);
}

/* The CNAME of the name that the chain has come to. False: there is none, or no good one. */
static bool follow(struct reader reader, unsigned count, struct dns_reply *reply, bool *ret_is_bad)
{
	struct record record;
	struct name target;

	for (unsigned i = 0; i < count && i < DNS_SCAN_MAX; i++) {
		if (!get_record(&reader, &record)) {
			*ret_is_bad = true;
			return false;
		}
		if (record.type != DNS_CNAME || record.class != CLASS_IN ||
		    !span_eq_nocase(name_span(&record.owner), buf_span(&reply->canonical)))
			continue;
		if (!data_name(&reader, &record, 0, &target) || target.is_odd || target.length == 0) {
			*ret_is_bad = true;
			return false;
		}
		(void)buf_set(&reply->canonical, name_span(&target));
		if (record.ttl_s < reply->ttl_s)
			reply->ttl_s = record.ttl_s;
		return true;
	}
	return false;
}

/* All records of the answer section that are asked for. Moves the reader behind the section. */
static bool collect(struct reader *reader, unsigned count, enum dns_type type,
		    struct dns_reply *reply)
{
	struct buf text = BUF_INIT(65536);
	size_t bad_names = 0;
	enum take take = TAKE_OK;

	for (unsigned i = 0; i < count && take != TAKE_MALFORMED; i++) {
		struct record record;

		if (!get_record(reader, &record)) {
			take = TAKE_MALFORMED;
		} else if (record.type == type && record.class == CLASS_IN && i < DNS_SCAN_MAX &&
			   span_eq_nocase(name_span(&record.owner), buf_span(&reply->canonical))) {
			take = take_record(reader, &record, &text, reply);
			bad_names += take == TAKE_BAD_NAME;
		}
	}
	buf_done(&text);
	if (bad_names > 0 && reply->count == 0)
		reply->rcode = DNS_FAIL_NAME;
	return take != TAKE_MALFORMED;
}

/* How long a negative answer holds: the SOA record of the authority section (RFC 2308 5). */
static bool negative_ttl(struct reader *reader, unsigned count, uint32_t *ret_ttl_s)
{
	struct record record;
	struct name primary, mailbox;
	uint32_t minimum;

	for (unsigned i = 0; i < count && i < DNS_SCAN_MAX; i++) {
		if (!get_record(reader, &record))
			return false;
		if (record.type != TYPE_SOA || record.class != CLASS_IN)
			continue;

		struct reader data = { reader->packet, record.data_at + record.data_size,
				       record.data_at };

		if (!get_name(&data, &primary) || !get_name(&data, &mailbox) ||
		    data.size - data.at != 20)
			return false;
		data.at += 16;
		if (!get_u32(&data, &minimum))
			return false;
		*ret_ttl_s = minimum < record.ttl_s ? minimum : record.ttl_s;
		return true;
	}
	return false;
}

static bool parse_header(struct reader *reader, struct dns_reply *reply, unsigned counts[4])
{
	unsigned id, flags;

	if (!get_u16(reader, &id) || !get_u16(reader, &flags))
		return false;
	for (int i = 0; i < 4; i++)
		if (!get_u16(reader, &counts[i]))
			return false;
	reply->rcode = flags & 0xf;
	reply->has_ad = (flags & 0x20) != 0;
	/* QR set, opcode 0, and one question */
	return (flags & 0xf800) == 0x8000 && counts[0] == 1;
}

bool dns_reply_parse(struct span packet, struct span name, enum dns_type type,
		     struct dns_reply *reply)
{
	struct reader reader = { (const unsigned char *)packet.p, packet.n, 0 };
	struct name question;
	unsigned counts[4], asked_type, asked_class;
	bool is_bad = false;

	buf_reset(&reply->records);
	reply->count = 0;
	reply->chain = 0;
	reply->is_cut = reply->is_open_chain = false;
	reply->ttl_s = TTL_MAX_S;
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	(void)buf_set(&reply->canonical, name);
	if (!parse_header(&reader, reply, counts) || !get_name(&reader, &question) ||
	    !get_u16(&reader, &asked_type) || !get_u16(&reader, &asked_class) ||
	    asked_type != type || asked_class != CLASS_IN ||
	    !span_eq_nocase(name_span(&question), name))
		return false;
	while (type != DNS_CNAME && reply->chain < DNS_CHAIN_MAX &&
	       follow(reader, counts[1], reply, &is_bad))
		reply->chain++;
	if (is_bad || !collect(&reader, counts[1], type, reply))
		return false;
	if (reply->count == 0 && !negative_ttl(&reader, counts[2], &reply->ttl_s)) {
		reply->ttl_s = 0;
		reply->is_open_chain = reply->rcode == 0 && reply->chain > 0;
	}
	return true;
}
