"""How often is the loss check wrong? Random sound losses and random broken ones, and what it says of them."""
