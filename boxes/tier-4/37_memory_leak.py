# /// box
# title = "Memory Leak: ten thousand deliveries leave the bot hardly larger than the first two thousand did"
# timeout = "120s"
#
# [control]
# expect = "memory-does-not-grow-with-deliveries"
#
# [control.edit]
# file = "bot/web/webhooks.py"
# find = "self._accepted(delivery)"
# replace = "self._accepted(delivery); self.__dict__.setdefault('seen', []).append(delivery)"
# ///
from statistics import linear_regression

from boxes._interlock import Bot, GitHub, box, flood, traffic

WARM_UP, DELIVERIES, LOOKS = 2_000, 10_000, 8
SLOPE = 700
"""Bytes that one delivery may leave behind. Keeping it costs two thousand; a cache that still fills up, two hundred."""
GROWTH = 0.5
"""The share by which the bot may outgrow its size when warm."""
MEGABYTE = 1_000_000

with Bot() as bot, GitHub({"README.md": "nothing to run\n"}, webhooks=bot.webhooks) as github:
    bot.start(github)
    secret = github.ready["webhook_secret"]
    idle = bot.rss
    statuses = flood(bot.port, traffic(secret, range(WARM_UP)))
    bot.settle()
    each = (DELIVERIES - WARM_UP) // LOOKS
    seen, sizes = [WARM_UP], [bot.rss]
    while seen[-1] < DELIVERIES:
        statuses += flood(bot.port, traffic(secret, range(seen[-1], seen[-1] + each)))
        bot.settle()
        seen.append(seen[-1] + each)
        sizes.append(bot.rss)

# The slope over many looks, not one difference: what the allocator holds back moves a single look by more than a leak.
slope = linear_regression(seen, sizes).slope
print("bytes by deliveries:", dict(zip(seen, sizes, strict=True)))
box.equal("every-delivery-is-taken-in", (len(statuses), set(statuses)), (DELIVERIES, {202}))
box.ok("memory-does-not-grow-with-deliveries", slope < SLOPE, f"{slope:.0f} bytes stay of each, at most {SLOPE} may")
box.ok("it-stays-near-its-size-when-warm", sizes[-1] < sizes[0] * (1 + GROWTH), f"from {sizes[0]} to {sizes[-1]}")
box.metric("idle", idle / MEGABYTE, "MB")
box.metric("loaded", max(sizes) / MEGABYTE, "MB")
box.metric("left of a delivery", slope, "bytes")
