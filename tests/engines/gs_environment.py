"""How a store of Google Cloud Storage's API is reached: as users have it in their environment."""

GS = {
    "FSSPEC_GS_TOKEN": "anon",
    "FETCH_RAW_TOKEN_EXPIRY": "false",  # else Google is asked about a token that is given
}
