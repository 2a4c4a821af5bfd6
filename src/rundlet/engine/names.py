"""Names for containers that were given none: an adjective and a noun from the cellar and the workshop."""

from __future__ import annotations

import random
import re

from rundlet.errors import InvalidArgument

__all__ = ["check_name", "generate_name"]

_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ADJECTIVES = _words("""
    able aged amber apt avid bold brave breezy bright brisk calm candid careful cheerful chipper clear clever cosy
    crisp curious daring deft eager early easy fair fluent fond frank fresh gentle glad golden grand handy happy
    hardy hearty honest humble jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble
    oaken patient placid plain plucky polite prompt proud quick quiet ready robust rosy rustic sane serene sharp
    shiny silent silver simple sincere smart smooth snug sober solid sound spry stable staunch steady stout sturdy
    sunny swift tidy trim true trusty upbeat vivid warm wise witty woody zesty
""")
_NOUNS = _words("""
    adze anchor anvil apple ark awl barge barrel basin basket beech bell bench birch boat bobbin bollard bottle bow
    bucket bung buoy butt cabin canoe carafe cask cedar chalice chest chisel cider clog cooper cork crane crate cup
    decanter demijohn dock dory ewer ferry firkin flagon flask float funnel galley gimlet goblet growler hamper
    harbour hatch hogshead hold hoop jar jetty jug keel keg kettle kilderkin ladle lantern larch loft mallet
    maple mast mill mug oak oar osier pail pallet pannier pier pine pipe pitcher plane puncheon quay raft rivet
    rudder rundlet sail sieve silo skiff sloop spigot spool stave still tankard tap tierce trolley trunk tub tun
    urn vat vessel vial willow winch yoke
""")


def generate_name(attempt: int = 0) -> str:
    """A name that may well be free. Later attempts add a number."""
    name = f"{random.choice(_ADJECTIVES)}_{random.choice(_NOUNS)}"
    return name if attempt < 3 else f"{name}{random.randrange(10 ** min(attempt, 9))}"


def check_name(name: str) -> str:
    """The name without its slash. InvalidArgument in Docker's words."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")
